"""Results drawn on images."""

from typing import Sequence, Tuple

import cv2
import numpy as np

# Told apart by the colour-blind, and from faces: Okabe and Ito's bluish
# green and vermilion, RGB.
SURE = (0, 158, 115)
UNSURE = (213, 94, 0)
MIN_SIDE = 320
# Pixels that words beside a face may take in any case.
MIN_WORDS = 100


def describe_in_words(result: dict) -> Tuple[str, str]:
    """Two lines on a result: what, and how sure.

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
    if result.get('rejected'):
        second += ', rejected'
    return first, second


def draw_results(image: np.ndarray, results: Sequence[dict]) -> np.ndarray:
    """An image with frames and words.

    Small images are enlarged, so that words can be read.

    Args:
        image (np.ndarray): BGR (H, W, 3), uint8.
        results (Sequence[dict]): One without ``box``, for the whole image,
            or several with ``box``, (left, top, right, bottom) in pixels.

    Returns:
        np.ndarray: BGR, uint8; words about the whole image stand below it.
    """
    from PIL import Image, ImageDraw, ImageFont

    scale = max(1, -(-MIN_SIDE // max(image.shape[:2])))
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    size = max(12, round(max(image.shape[:2]) / 28))
    font = ImageFont.load_default(size)
    line = round(size * 1.3)
    whole = [r for r in results if 'box' not in r]
    height, width = image.shape[:2]
    words = [w for result in whole for w in describe_in_words(result)]
    picture = Image.new('RGB', (width, height + line * len(words)), 'white')
    picture.paste(Image.fromarray(np.ascontiguousarray(image[..., ::-1])))
    pen = ImageDraw.Draw(picture)
    for row, text in enumerate(words):
        while font.getlength(text) > width and font.size > 8:
            font = ImageFont.load_default(font.size - 1)
        colour = UNSURE if whole[row // 2].get('rejected') else 'black'
        pen.text((2, height + row * line), text, colour, font)
        font = ImageFont.load_default(size)
    for result in results:
        if 'box' not in result:
            continue
        colour = UNSURE if result.get('rejected') else SURE
        left, top, right, bottom = (round(scale * c) for c in result['box'])
        words = describe_in_words(result)
        # As wide as the face, so that neighbours keep theirs.
        own, wide = font, max(right - left, MIN_WORDS)
        while max(map(own.getlength, words)) > wide and own.size > 8:
            own = ImageFont.load_default(own.size - 1)
        line = round(own.size * 1.3)
        pen.rectangle((left, top, right, bottom), None, colour, max(2, own.size // 6))
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
