"""Prepare faces for a model as the test pipeline of its config does."""

import numbers
from typing import Any, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
import torch
from mmcv.transforms import CenterCrop, Resize
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from torch import Tensor

from mmfer.datasets.transforms import PackFERInputs
from mmfer.datasets.transforms.resizing import is_resizer
from mmfer.registry import TRANSFORMS
from mmfer.utils.checks import invalid, is_whole

LOADERS = ('LoadFERImage', 'LoadImageFromFile')


class FacePreparation:
    """Prepare faces, given as arrays, as a config prepares test images.

    Many pipelines for faces have only a resize, a centre crop and packing, or
    fewer of these. Then faces are copied into the batch. This saves a dict and a
    data sample for each face.

    Args:
        cfg (Config): Config of a run. Its test pipeline is used.
        image_size (tuple[int, int], optional): (height, width) to which faces
            are resized before the pipeline. Defaults to ``image_size`` of the
            config if its pipeline does not resize.

    Attributes:
        pipeline (Compose): Steps after the one that loads a file.
        color_type (str): How to decode images, ``'color'`` or
            ``'grayscale'``.
        image_size (tuple[int, int], optional): See the argument.
        window (tuple[slice, slice], optional): Rows and columns that the
            centre crop keeps; all of them without a crop. None: all steps of the
            pipeline must run for each face.
        thread_safe (bool): Whether several threads may run the pipeline: no
            step draws random numbers.
        resize (Resize, optional): First step of the pipeline, if faces must
            be resized before they are cropped to ``window``.

    Raises:
        ValueError: The config has no test pipeline. Or its pipeline does not
            resize, and there is no ``image_size``.
    """

    def __init__(self, cfg: Config, image_size: Optional[Tuple[int, int]] = None):
        pipeline = (cfg.get('test_dataloader') or {}).get('dataset', {}).get('pipeline')
        if not pipeline:
            raise ValueError(
                'FERInferencer: this config has no '
                'test_dataloader.dataset.pipeline, which states how images are '
                'prepared. If it is the config of a classifier, set '
                'test_dataloader = val_dataloader in it.'
            )
        transforms = [dict(t) for t in pipeline]
        loader = transforms.pop(0) if transforms[0]['type'] in LOADERS else {}
        self.color_type: str = loader.get('color_type', 'color')
        if image_size is None and not any(is_resizer(t['type']) for t in transforms):
            image_size = check_image_size(cfg.get('image_size'))
            if image_size is None:
                raise ValueError(
                    'FERInferencer: the test pipeline of this config does '
                    'not resize images, so their size must be known. Give '
                    'image_size=(height, width) of the images on which the model '
                    'was trained, or set image_size in the config.'
                )
        self.image_size = image_size
        self.pipeline = Compose([TRANSFORMS.build(t) for t in transforms])
        # mmcv keeps the draws of a random step in the step itself.
        self.thread_safe = not any(
            getattr(step, '_methods_with_randomness', ())
            for step in self.pipeline.transforms
        )
        self.window: Optional[Tuple[slice, ...]] = None
        self.resize: Optional[Resize] = None
        size: Optional[Sequence[int]] = self.image_size
        steps = list(self.pipeline.transforms)
        if (
            steps
            and type(steps[0]) is Resize
            and steps[0].scale is not None
            and not steps[0].keep_ratio
        ):
            # The scale of mmcv is (width, height).
            size, self.resize = steps[0].scale[::-1], steps.pop(0)
        kinds = [type(t) for t in steps]
        if size is not None and kinds in ([CenterCrop, PackFERInputs], [PackFERInputs]):
            crop = steps[0].crop_size[::-1] if len(steps) > 1 else size
            start = [round((whole - part) / 2) for whole, part in zip(size, crop)]
            if min(start) >= 0:
                self.window = tuple(slice(s, s + part) for s, part in zip(start, crop))

    def fit(self, image: np.ndarray) -> Union[dict, np.ndarray]:
        """Resize a face, and convert it to an input of :meth:`collate`.

        Args:
            image (np.ndarray): uint8, BGR (H, W, 3), or (H, W) if
                ``color_type`` is ``'grayscale'``.
        """
        if self.image_size is not None and image.shape[:2] != self.image_size:
            shrinks = image.shape[0] > self.image_size[0]
            image = cv2.resize(
                image,
                self.image_size[::-1],
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
            )
        else:
            # Copy: the next frame of a video may be written to the same memory.
            image = image.copy()
        if self.window is not None:
            if self.resize is not None and image.shape[:2] != self.resize.scale[::-1]:
                image = self.resize(dict(img=image))['img']
            return image
        return self.pipeline(
            dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        )

    def collate(self, faces: list) -> dict:
        """Return a batch for the model from faces that :meth:`fit` returned."""
        if self.window is None:
            return default_collate(faces)
        channels = 1 if faces[0].ndim == 2 else faces[0].shape[2]
        batch = self._empty(len(faces), channels)
        for face, image in zip(faces, batch.numpy(), strict=True):
            self.write(face, image)
        return dict(inputs=batch)

    def empty(self, number: int, pin_memory: bool = False) -> Optional[Tensor]:
        """Return the memory of a batch, into which :meth:`write` writes faces.

        Args:
            number (int): Number of images, N.
            pin_memory (bool): Whether the memory is page-locked. Defaults to
                False.

        Returns:
            Tensor, optional: uint8 (N, 3 or 1, H, W); None if all steps of the
            pipeline must run for each face.
        """
        if self.window is None:
            return None
        channels = 1 if self.color_type == 'grayscale' else 3
        return self._empty(number, channels, pin_memory)

    def _empty(self, number: int, channels: int, pin_memory: bool = False) -> Tensor:
        assert self.window is not None, 'only faces with a window have one size'
        size = [part.stop - part.start for part in self.window]
        return torch.empty(
            (number, channels, *size), dtype=torch.uint8, pin_memory=pin_memory
        )

    def write(self, face: np.ndarray, image: np.ndarray) -> None:
        """Write a face into its place of a batch.

        Args:
            face (np.ndarray): A face that :meth:`fit` returned.
            image (np.ndarray): Its place in :meth:`empty`, (3 or 1, H, W).
        """
        assert self.window is not None, 'only faces with a window have one size'
        face = face[self.window]
        image[:] = face if face.ndim == 2 else face.transpose(2, 0, 1)

    def blank(self) -> np.ndarray:
        """Return a blank face, an input of :meth:`fit`."""
        size = self.image_size or (224, 224)
        shape = size if self.color_type == 'grayscale' else (*size, 3)
        return np.zeros(shape, np.uint8)


def check_image_size(size: Any) -> Optional[Tuple[int, int]]:
    """Return (height, width) of a number or a pair; None stays None.

    Raises:
        ValueError: ``size`` is neither, or is not positive.
    """
    if size is None:
        return None
    pair = (size, size) if isinstance(size, numbers.Integral) else size
    if (
        not isinstance(pair, (list, tuple))
        or len(pair) != 2
        or not all(is_whole(side) and int(side) > 0 for side in pair)
    ):
        raise invalid('', 'image_size', size, 'a number of pixels, or (height, width)')
    return int(pair[0]), int(pair[1])
