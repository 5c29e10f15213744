"""Split a pipeline: what is done once, and what is done with whole batches."""

from typing import Any, List, NamedTuple, Optional, Sequence

import cv2
import mmcv.transforms
import numpy as np
import PIL
from mmpretrain.datasets import EfficientNetCenterCrop, PackInputs, ResizeEdge

from mmfer.version import __version__

from ..images import UnreadableImageError
from ..transforms import LoadFERImage, PackFERInputs
from .operations import BatchOperation, batch_operations

# Steps that give the same pixels in every epoch. Subclasses may draw, so the type
# must be exact.
DETERMINISTIC = (
    LoadFERImage,
    mmcv.transforms.LoadImageFromFile,
    mmcv.transforms.Resize,
    mmcv.transforms.CenterCrop,
    mmcv.transforms.Pad,
    ResizeEdge,
    EfficientNetCenterCrop,
)
PACKERS = (PackFERInputs, PackInputs)
# Meta fields that are known without running the pipeline.
KNOWN_META = ('sample_id', 'sample_idx', 'img_path')


class SplitPipeline(NamedTuple):
    """Parts of a pipeline.

    Attributes:
        head (list): Deterministic steps at the beginning. Their result can be
            kept. The first one loads the image.
        rest (list): All other steps except the packing.
        pack (PackInputs, optional): Last step; None if it is another one.
        operations (list[BatchOperation]): ``rest`` for whole batches.
        fixed_size (bool): Whether the images after ``head`` have one size,
            whatever the size of the files.
        reason (str, optional): Why the steps of ``rest`` must run for each
            image, as the end of a sentence. None: they run as ``operations``.
        recipe (str): Text that names everything that the pixels after ``head``
            depend on, besides the files.
    """

    head: List[Any]
    rest: List[Any]
    pack: Optional[PackInputs]
    operations: List[BatchOperation]
    fixed_size: bool
    reason: Optional[str] = None
    recipe: str = ''


def split_pipeline(pipeline: Any) -> SplitPipeline:
    """Split the steps of a pipeline.

    Args:
        pipeline (Compose): Pipeline of a data set.
    """
    steps = list(getattr(pipeline, 'transforms', ()))
    pack = steps.pop() if steps and type(steps[-1]) in PACKERS else None

    def per_image(reason: str) -> SplitPipeline:
        return SplitPipeline([], steps, pack, [], False, reason)

    if pack is None:
        return per_image('its last step is not PackFERInputs')
    unknown = [key for key in pack.meta_keys if key not in KNOWN_META]
    if unknown or pack.input_key != 'img':
        return per_image(
            f'{type(pack).__name__} packs {", ".join(unknown) or pack.input_key}, '
            'which only the steps of a single image know; use '
            "dict(type='PackFERInputs')"
        )
    first = next(
        (i for i, step in enumerate(steps) if type(step) not in DETERMINISTIC),
        len(steps),
    )
    head, rest = steps[:first], steps[first:]
    if not head or not isinstance(head[0], mmcv.transforms.LoadImageFromFile):
        return per_image('its first step is not LoadFERImage')
    if head[0].to_float32 or head[0].ignore_empty:
        return per_image(
            f'{type(head[0]).__name__} has to_float32 or ignore_empty; use '
            "dict(type='LoadFERImage')"
        )
    start, operations = batch_operations(rest)
    reason = f'{rest[start - 1]!r} has no form for whole batches' if start else None
    if any(is_foreign(step) for step in rest[:start]):
        # It may read what a resize notes, such as scale_factor.
        head, rest = head[:1], head[1:] + rest
    fixed = any(fixes_size(step) for step in head)
    return SplitPipeline(
        head, rest, pack, [] if reason else operations, fixed, reason, recipe_of(head)
    )


def is_foreign(step: Any) -> bool:
    """Return whether a step, or one inside of it, is from another library.

    Args:
        step (Callable): Step of a pipeline, or a list of steps.
    """
    inner = step if isinstance(step, (list, tuple)) else getattr(step, 'transforms', ())
    library = type(step).__module__.split('.')[0]
    known = library in ('mmcv', 'mmpretrain', 'mmfer') or step is inner
    return not known or any(is_foreign(part) for part in inner)


def recipe_of(head: Sequence[Any]) -> str:
    """Return a text that names everything that pixels depend on, besides the files.

    Args:
        head (Sequence[Callable]): Deterministic steps, with the one that loads.
    """
    versions = (
        f'mmfer {__version__}, OpenCV {cv2.__version__}, Pillow {PIL.__version__}, '
        f'mmcv {mmcv.__version__}'
    )
    return '\n'.join([versions, *(repr(step) for step in head)])


def fixes_size(step: Any) -> bool:
    """Return whether all images have one size after a deterministic step."""
    if type(step) is mmcv.transforms.Resize:
        return step.scale is not None and not step.keep_ratio
    if type(step) is mmcv.transforms.CenterCrop:
        # A smaller image stays as it is, unless it is padded.
        return bool(step.auto_pad)
    return type(step) is EfficientNetCenterCrop


def run_steps(steps: Sequence[Any], results: dict) -> dict:
    """Run deterministic steps for one image.

    Args:
        steps (Sequence[Callable]): Steps of a pipeline.
        results (dict): ``img_path`` of a file, or ``img``, an image in memory.
    """
    if 'img' in results:
        shape = results['img'].shape[:2]
        results = dict(results, img_shape=shape, ori_shape=shape)
    for step in steps:
        results = step(results)
    return results


class HeadReader:
    """Read an image file with the deterministic steps of a pipeline.

    Args:
        steps (Sequence[Callable]): The steps.
    """

    def __init__(self, steps: Sequence[Any]):
        self.steps = list(steps)

    def __call__(self, path: str) -> np.ndarray:
        """Return the image, uint8 (H, W) or (H, W, C).

        Raises:
            UnreadableImageError: The image is damaged. The error has its
                ``path``.
        """
        try:
            return run_steps(self.steps, dict(img_path=path))['img']
        except UnreadableImageError as error:
            error.path = path
            raise
