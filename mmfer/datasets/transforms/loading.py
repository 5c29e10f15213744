"""Reading images so that a broken file is noticed."""
import os.path as osp
from typing import Optional

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile

from mmfer.registry import TRANSFORMS

# How a complete file of each format ends. Decoders fill the missing part of
# a truncated JPEG with grey and carry on, so the end is looked at here.
_ENDINGS = {
    b'\xff\xd8': (b'\xff\xd9', 'JPEG'),
    b'\x89P': (b'IEND\xaeB`\x82', 'PNG'),
}


class UnreadableImageError(OSError):
    """An image file that is empty, truncated or not an image."""


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
    ending = _ENDINGS.get(data[:2])
    # Some cameras pad after the end marker, hence a window.
    if ending is not None and ending[0] not in data[-1024:]:
        raise UnreadableImageError(f'{path!r} is a truncated {ending[1]}')
    image = mmcv.imfrombytes(data, flag=flag, backend='cv2')
    if image is None:
        raise UnreadableImageError(f'{path!r} is not a readable image')
    return image


def check_image_file(path: str) -> None:
    """Raise :class:`UnreadableImageError` unless ``path`` decodes."""
    with open(path, 'rb') as file:
        decode_image(file.read(), path)


@TRANSFORMS.register_module()
class LoadFERImage(LoadImageFromFile):
    """``LoadImageFromFile`` that stops at a truncated or unreadable image.

    Does nothing when the data set already holds the decoded image.

    Args:
        color_type (str): ``'color'`` (BGR) or ``'grayscale'``.
            Defaults to ``'color'``.
    """

    def __init__(self, color_type: str = 'color'):
        super().__init__(color_type=color_type)

    def transform(self, results: dict) -> Optional[dict]:
        """Add ``img``, ``img_shape`` and ``ori_shape``."""
        if 'img' in results:
            return results
        path = results['img_path']
        try:
            with open(osp.expanduser(path), 'rb') as file:
                image = decode_image(file.read(), path, self.color_type)
        except UnreadableImageError as error:
            raise UnreadableImageError(
                f'{error}. Replace or remove it, or train without such '
                'files with --cfg-options '
                'train_dataloader.dataset.on_bad_image=skip (every file is '
                'then checked once, and those left out are counted and '
                'listed).') from None
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
