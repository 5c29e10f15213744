"""Reading images so that a broken file is noticed."""
import os
import os.path as osp

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile

from mmfer.registry import TRANSFORMS

# Decoders fill the missing part of a truncated JPEG with grey and carry on,
# so the end is looked at here: how a complete file of each format ends.
_ENDINGS = {
    b'\xff\xd8': (b'\xff\xd9', 'JPEG'),
    b'\x89P': (b'IEND\xaeB`\x82', 'PNG'),
}
# Other formats that OpenCV reads, of which only the beginning is known here:
# BMP, WebP, TIFF (both byte orders), PBM to PAM, JPEG 2000, AVIF, GIF.
_OTHER_HEADS = (b'BM', b'RI', b'II', b'MM', b'P1', b'P2', b'P3', b'P4', b'P5',
                b'P6', b'P7', b'\x00\x00', b'\xff\x4f', b'GI')
# Where the end marker normally is; some cameras pad after it.
_TAIL = 1024


class UnreadableImageError(OSError):
    """An image file that is empty, truncated or not an image."""


def _is_complete(data: bytes) -> bool:
    """Whether a JPEG or PNG has its end marker; True for other formats."""
    ending = _ENDINGS.get(data[:2])
    if ending is None:
        return True
    marker, name = ending
    if name == 'PNG':
        return marker in data
    # Phones append whole videos after the end, and put a thumbnail before
    # the image, a JPEG with an end marker of its own. So skip segment by
    # segment to the image's first scan, in which FF D9 cannot occur.
    position = 2
    while data[position:position + 1] == b'\xff':
        kind = data[position + 1:position + 2]
        if kind == b'\xda':
            return data.find(marker, position) > 0
        if kind == b'\xff':  # Fill byte.
            position += 1
        else:
            position += 2 + int.from_bytes(data[position + 2:position + 4],
                                           'big')
    return marker in data[-_TAIL:]


def looks_complete(path: str) -> bool:
    """Whether a file looks like a whole image, without decoding it.

    Looks at both ends only, so that 10^5 files take seconds.

    Args:
        path (str): The file.

    Returns:
        bool: False if it is missing, empty, truncated or not an image.
    """
    try:
        with open(osp.expanduser(path), 'rb') as file:
            head = file.read(2)
            if head not in _ENDINGS:
                return head in _OTHER_HEADS
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            if _ENDINGS[head][0] in file.read():
                return True
            file.seek(0)
            return _is_complete(file.read())
    except OSError:
        return False


def decode_image(data: bytes, path: str, flag: str = 'color') -> np.ndarray:
    """Decode ``data``; complain about what decoders pass over in silence.

    Args:
        data (bytes): Contents of the file.
        path (str): Its name, for the message.
        flag (str): ``'color'`` for (H, W, 3) BGR, ``'grayscale'`` for (H, W).

    Returns:
        np.ndarray: uint8 image.

    Raises:
        UnreadableImageError: Empty, truncated or not an image.
    """
    if not data:
        raise UnreadableImageError(f'{path!r} is empty')
    if not _is_complete(data):
        raise UnreadableImageError(
            f'{path!r} is a truncated {_ENDINGS[data[:2]][1]}')
    image = mmcv.imfrombytes(data, flag=flag, backend='cv2')
    if image is None:
        raise UnreadableImageError(f'{path!r} is not a readable image')
    return image


def check_image_file(path: str) -> None:
    """Raise :class:`UnreadableImageError` unless ``path`` decodes."""
    with open(osp.expanduser(path), 'rb') as file:
        decode_image(file.read(), path)


@TRANSFORMS.register_module()
class LoadFERImage(LoadImageFromFile):
    """``LoadImageFromFile`` that stops at a truncated or unreadable image.

    Where the decoded image is there already, as from a data set in memory or
    mmpretrain's inferencers, colour is made grey if need be.

    Args:
        color_type (str): ``'color'`` (BGR) or ``'grayscale'``.
            Defaults to ``'color'``.

    Raises:
        UnreadableImageError: The file is empty, truncated or not an image.
    """

    def __init__(self, color_type: str = 'color'):
        if color_type not in ('color', 'grayscale'):
            raise ValueError("color_type must be 'color' or 'grayscale', got "
                             f'{color_type!r}')
        super().__init__(color_type=color_type)

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape``."""
        if 'img' in results:
            image = results['img']
            if self.color_type == 'grayscale' and image.ndim == 3 and \
                    image.shape[2] == 3:
                results['img'] = mmcv.bgr2gray(image)
            return results
        path = results['img_path']
        with open(osp.expanduser(path), 'rb') as file:
            image = decode_image(file.read(), path, self.color_type)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
