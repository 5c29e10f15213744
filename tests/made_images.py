"""Small image files of many kinds, with what they should look like."""

import io
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, features

Y, X = np.mgrid[:40, :60]
# Smooth, so that lossy formats change little; each edge looks different.
RGB = (
    np.stack([4 * X, 6 * Y, 255 - 2 * X - 3 * Y], axis=2).clip(0, 255).astype(np.uint8)
)
# Left half transparent, above it a half transparent strip.
ALPHA = np.full((40, 60), 255, np.uint8)
ALPHA[:, :30] = 0
ALPHA[:10] = 128
GREY = np.asarray(Image.fromarray(RGB).convert('L'))
ORIENTATION = 0x0112


class Kind(NamedTuple):
    """A kind of image file.

    Attributes:
        ending (str): Of its name.
        data (bytes): Contents.
        expected (np.ndarray): BGR pixels, uint8 (40, 60, 3).
        tolerance (int): By which pixels may differ.
    """

    ending: str
    data: bytes
    expected: np.ndarray
    tolerance: int = 0


def saved(image, kind, **options):
    """Contents of a file as PIL writes it."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encoded(ending, pixels):
    """Contents of a file as OpenCV writes it."""
    return cv2.imencode(ending, pixels)[1].tobytes()


def on_white(bgr, alpha=ALPHA):
    """What transparent pixels look like on white paper."""
    share = alpha[..., None] / 255
    return np.rint(bgr * share + 255 * (1 - share)).astype(np.uint8)


def turned(pixels, orientation):
    """Pixels as a file stores them that names this EXIF orientation."""
    return np.ascontiguousarray(
        {
            2: lambda a: a[:, ::-1],
            3: lambda a: a[::-1, ::-1],
            4: lambda a: a[::-1],
            5: lambda a: a.swapaxes(0, 1),
            6: lambda a: np.rot90(a),
            7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
            8: lambda a: np.rot90(a, -1),
        }[orientation](pixels)
    )


def with_orientation(pixels, orientation, kind, **options):
    """A file that lies on its side and says so."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(
        Image.fromarray(turned(pixels, orientation)), kind, exif=exif, **options
    )


def make_kinds():
    """All kinds that this build of OpenCV and PIL can write, by name."""
    bgr = np.ascontiguousarray(RGB[..., ::-1])
    grey = np.repeat(GREY[..., None], 3, axis=2)
    image, grey_image = Image.fromarray(RGB), Image.fromarray(GREY)
    rgba = np.dstack([RGB, ALPHA])
    rgba_image = Image.fromarray(rgba)
    bits = image.convert('1')
    black_white = np.repeat(
        np.asarray(bits).astype(np.uint8)[..., None] * 255, 3, axis=2
    )
    palette = image.quantize(64)
    colours = np.asarray(palette.convert('RGB'))[..., ::-1]
    first = int(np.asarray(palette)[0, 0])
    hidden = np.where((np.asarray(palette) == first)[..., None], 255, colours)
    deep, deep_grey = bgr.astype(np.uint16) * 257, GREY.astype(np.uint16) * 257
    black = Image.new('RGB', image.size)
    more = dict(save_all=True, append_images=[black])
    good = dict(quality=98)
    kinds = {
        'PNG 1': Kind('.png', saved(bits, 'PNG'), black_white),
        'PNG L': Kind('.png', saved(grey_image, 'PNG'), grey),
        'PNG LA': Kind(
            '.png',
            saved(Image.merge('LA', [grey_image, Image.fromarray(ALPHA)]), 'PNG'),
            on_white(grey),
        ),
        'PNG P': Kind('.png', saved(palette, 'PNG'), colours),
        'PNG P transparent': Kind(
            '.PNG', saved(palette, 'PNG', transparency=first), hidden
        ),
        'PNG L transparent': Kind(
            '.png',
            saved(grey_image, 'PNG', transparency=int(GREY[5, 5])),
            np.where(grey == GREY[5, 5], 255, grey),
        ),
        'PNG RGB': Kind('.png', saved(image, 'PNG'), bgr),
        'PNG RGBA': Kind('.png', saved(rgba_image, 'PNG'), on_white(bgr)),
        'PNG RGBA opaque': Kind('.png', saved(image.convert('RGBA'), 'PNG'), bgr),
        'PNG 16': Kind('.png', encoded('.png', deep_grey), grey),
        'PNG RGB 16': Kind('.png', encoded('.png', deep), bgr),
        'PNG RGBA 16': Kind(
            '.png',
            encoded('.png', np.dstack([deep, ALPHA.astype(np.uint16) * 257])),
            on_white(bgr),
        ),
        'PNG animated': Kind('.apng', saved(image, 'PNG', **more), bgr),
        'JPEG L': Kind('.jpg', saved(grey_image, 'JPEG', **good), grey, 2),
        'JPEG RGB': Kind('.jfif', saved(image, 'JPEG', **good), bgr, 8),
        'JPEG progressive': Kind(
            '.jpeg', saved(image, 'JPEG', progressive=True, **good), bgr, 8
        ),
        'JPEG restart': Kind(
            '.jpe', saved(image, 'JPEG', restart_marker_blocks=2, **good), bgr, 8
        ),
        'JPEG CMYK': Kind('.JPG', saved(image.convert('CMYK'), 'JPEG', **good), bgr, 8),
        'WebP lossy': Kind('.webp', saved(image, 'WEBP', quality=100), bgr, 10),
        'WebP lossy alpha': Kind(
            '.webp', saved(rgba_image, 'WEBP', quality=100), on_white(bgr), 10
        ),
        'WebP alpha': Kind(
            '.webp', saved(rgba_image, 'WEBP', lossless=True), on_white(bgr)
        ),
        'WebP animated': Kind(
            '.webp', saved(image, 'WEBP', lossless=True, **more), bgr
        ),
        'GIF': Kind('.gif', saved(palette, 'GIF'), colours),
        'GIF transparent': Kind(
            '.gif', saved(palette, 'GIF', transparency=first), hidden
        ),
        'GIF animated': Kind('.gif', saved(palette, 'GIF', **more), colours),
        'BMP': Kind('.bmp', saved(image, 'BMP'), bgr),
        'BMP alpha': Kind(
            '.bmp', encoded('.bmp', np.dstack([bgr, ALPHA])), on_white(bgr)
        ),
        'TIFF LZW': Kind('.tif', saved(image, 'TIFF', compression='tiff_lzw'), bgr),
        'TIFF alpha': Kind('.tiff', saved(rgba_image, 'TIFF'), on_white(bgr)),
        'TIFF CMYK': Kind('.tif', saved(image.convert('CMYK'), 'TIFF'), bgr),
        'TIFF 16': Kind('.tif', encoded('.tif', deep_grey), grey),
        'TIFF RGB 16': Kind('.tif', encoded('.tif', deep), bgr),
        'TIFF float': Kind(
            '.tif',
            saved(Image.fromarray((GREY / 255).astype(np.float32)), 'TIFF'),
            grey,
        ),
        'TIFF pages': Kind('.tiff', saved(image, 'TIFF', **more), bgr),
        'PPM': Kind('.ppm', saved(image, 'PPM'), bgr),
        'PGM': Kind('.pgm', saved(grey_image, 'PPM'), grey),
        'PBM': Kind('.pbm', saved(bits, 'PPM'), black_white),
        'PPM text': Kind(
            '.pnm',
            b'P3\n60 40\n255\n'
            + b' '.join(b'%d' % value for value in RGB.ravel())
            + b'\n',
            bgr,
        ),
        'TGA alpha': Kind('.tga', saved(rgba_image, 'TGA'), on_white(bgr)),
        'PCX': Kind('.pcx', saved(image, 'PCX'), bgr),
    }
    for orientation in range(2, 9):
        kinds[f'JPEG EXIF {orientation}'] = Kind(
            '.jpg',
            with_orientation(RGB, orientation, 'JPEG', subsampling=0, **good),
            bgr,
            6,
        )
    kinds['PNG EXIF 6'] = Kind('.png', with_orientation(RGB, 6, 'PNG'), bgr)
    kinds['PNG RGBA EXIF 5'] = Kind(
        '.png', with_orientation(rgba, 5, 'PNG'), on_white(bgr)
    )
    kinds['WebP EXIF 8'] = Kind(
        '.webp', with_orientation(RGB, 8, 'WEBP', lossless=True), bgr
    )
    kinds['TIFF EXIF 3'] = Kind('.tif', with_orientation(RGB, 3, 'TIFF'), bgr)
    if features.check('jpg_2000'):
        kinds['JPEG 2000'] = Kind('.jp2', saved(image, 'JPEG2000'), bgr)
        kinds['JPEG 2000 alpha'] = Kind(
            '.j2k', saved(rgba_image, 'JPEG2000', no_jp2=True), on_white(bgr)
        )
    if 'avif' in features.modules and features.check('avif'):
        kinds['AVIF'] = Kind('.avif', saved(image, 'AVIF', quality=100), bgr, 8)
        kinds['AVIF alpha'] = Kind(
            '.avif', saved(rgba_image, 'AVIF', quality=100), on_white(bgr), 8
        )
    return kinds


KINDS = make_kinds()
