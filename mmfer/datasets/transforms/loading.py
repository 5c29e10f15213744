"""Reading images so that a broken file is noticed."""

import mmcv
from mmcv.transforms import LoadImageFromFile

from mmfer.registry import TRANSFORMS

from ..images import decode_image, read_file


@TRANSFORMS.register_module()
class LoadFERImage(LoadImageFromFile):
    """``LoadImageFromFile`` that stops at a damaged or unreadable image.

    Files become the pixels that :func:`~mmfer.datasets.images.read_image`
    gives, so that training, tests and ``FERInferencer`` see the same.

    Where the decoded image is there already, as from a data set in memory or
    mmpretrain's inferencers, colour is made grey if need be.

    Args:
        color_type (str): ``'color'`` (BGR) or ``'grayscale'``.
            Defaults to ``'color'``.

    Raises:
        FileNotFoundError: The file is not there.
        UnreadableImageError: The file is empty, damaged or not an image.
    """

    def __init__(self, color_type: str = 'color'):
        if color_type not in ('color', 'grayscale'):
            raise ValueError(
                f"color_type must be 'color' or 'grayscale', got {color_type!r}"
            )
        super().__init__(color_type=color_type)

    def transform(self, results: dict) -> dict:
        """Add ``img``, ``img_shape`` and ``ori_shape``."""
        if 'img' in results:
            image = results['img']
            if (
                self.color_type == 'grayscale'
                and image.ndim == 3
                and image.shape[2] == 3
            ):
                results['img'] = mmcv.bgr2gray(image)
            return results
        path = results['img_path']
        image = decode_image(read_file(path), path, self.color_type)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
