"""Draw results of ``FERInferencer`` on images."""

from typing import Optional, Sequence, Tuple, cast

import cv2
import numpy as np

# Bluish green and vermilion of Okabe and Ito, RGB. Colour-blind people can
# distinguish them, and both differ from the colours of faces.
SURE = (0, 158, 115)
UNSURE = (213, 94, 0)
# Images are enlarged until their longer side has this many pixels.
MIN_SIDE = 320
# Width in pixels that the text at a face may always have, even at a small face.
MIN_WORDS = 100


def describe_result(result: dict) -> Tuple[str, str]:
    """Return two lines of text about a result: prediction and uncertainty.

    Args:
        result (dict): See :class:`FERInferencer`.
    """
    if 'pred_label' not in result:
        return (
            f'valence {result["valence"]:+.2f}',
            f'arousal {result["arousal"]:+.2f}',
        )
    name = result.get('pred_class', f'class {result["pred_label"]}')
    first = f'{name} {result["pred_score"]:.0%}'
    second = f'uncertainty {result["uncertainty"]:.3g}'
    if 'valence' in result:
        second += (
            f', valence {result["valence"]:+.2f}, arousal {result["arousal"]:+.2f}'
        )
    if 'pred_set' in result:
        names = result['pred_set']
        second += f', {"only" if len(names) == 1 else "one of"} '
        second += ', '.join(names) or 'no class'
    if result.get('rejected'):
        second += ', rejected'
    return first, second


def box_of(result: dict) -> Optional[Sequence[int]]:
    """Return the box of a face, (left, top, right, bottom); None for a whole image."""
    return result.get('source', {}).get('box')


def draw_results(image: np.ndarray, results: Sequence[dict]) -> np.ndarray:
    """Draw the boxes of faces, and text about the results, on an image.

    Small images are enlarged, so that the text can be read.

    Args:
        image (np.ndarray): BGR (H, W, 3), uint8.
        results (Sequence[dict]): Results, see :class:`FERInferencer`. Text about
            one without a box is about the whole image.

    Returns:
        np.ndarray: BGR, uint8. Text about the whole image is below it.
    """
    from PIL import Image, ImageDraw, ImageFont

    scale = max(1, -(-MIN_SIDE // max(image.shape[:2])))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    size = max(12, round(max(image.shape[:2]) / 28))

    def load_font(points: float) -> ImageFont.FreeTypeFont:
        # If a size is given, PIL's default font is scalable.
        return cast(ImageFont.FreeTypeFont, ImageFont.load_default(points))

    font = load_font(size)
    line = round(size * 1.3)
    whole = [r for r in results if box_of(r) is None]
    height, width = image.shape[:2]
    words = [w for result in whole for w in describe_result(result)]
    picture = Image.new('RGB', (width, height + line * len(words)), 'white')
    picture.paste(Image.fromarray(np.ascontiguousarray(image[..., ::-1])))
    pen = ImageDraw.Draw(picture)
    for row, text in enumerate(words):
        while font.getlength(text) > width and font.size > 8:
            font = load_font(font.size - 1)
        colour = UNSURE if whole[row // 2].get('rejected') else 'black'
        pen.text((2, height + row * line), text, colour, font)
        font = load_font(size)
    for result in results:
        box = box_of(result)
        if box is None:
            continue
        colour = UNSURE if result.get('rejected') else SURE
        left, top, right, bottom = (round(scale * c) for c in box)
        words = list(describe_result(result))
        # Keep the text no wider than the face, so that it does not cover the text
        # of other faces.
        own, wide = font, max(right - left, MIN_WORDS)
        while max(map(own.getlength, words)) > wide and own.size > 8:
            own = load_font(own.size - 1)
        line = round(own.size * 1.3)
        pen.rectangle(
            (left, top, right, bottom), None, colour, int(max(2, own.size // 6))
        )
        for row, text in enumerate(words):
            length = own.getlength(text)
            x = min(max(0, left), max(0, width - length))
            y = (
                top - (2 - row) * line
                if top >= 2 * line
                else min(bottom, height - 2 * line) + row * line
            )
            pen.rectangle((x, y, x + length, y + line), colour)
            pen.text((x, y), text, 'white', own)
    return np.ascontiguousarray(np.asarray(picture)[..., ::-1])
