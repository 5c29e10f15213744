"""Loading of images, with an error for damaged files."""

import mmcv
from mmcv.transforms import LoadImageFromFile

from mmfer.registry import TRANSFORMS
from mmfer.utils.checks import choices

from ..images import decode_image, read_file


@TRANSFORMS.register_module()
class LoadFERImage(LoadImageFromFile):
    """``LoadImageFromFile`` that stops at a damaged or unreadable image.

    A file gives the same pixels as from
    :func:`~mmfer.datasets.images.read_image`, so training, tests and
    ``FERInferencer`` see the same images.

    If ``img`` is set already, no file is read. Data sets in memory and
    mmpretrain's inferencers set it. With ``'grayscale'``, a colour image
    becomes grey.

    Args:
        color_type (str): ``'color'`` (BGR) or ``'grayscale'``.
            Defaults to ``'color'``.

    Raises:
        FileNotFoundError: The file does not exist.
        UnreadableImageError: The file is empty, damaged or not an image.
    """

    def __init__(self, color_type: str = 'color'):
        choices(self, 'color_type', color_type, ('color', 'grayscale'))
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
