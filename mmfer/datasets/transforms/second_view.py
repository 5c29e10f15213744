"""Make a second view of an image, usually by a stronger augmentation."""

from typing import Any, Optional, Sequence

import numpy as np
import torch
import torchvision.transforms as vision
from mmcv.transforms import BaseTransform, Compose
from mmpretrain.datasets import PackInputs

from mmfer.registry import TRANSFORMS
from mmfer.utils.checks import choices, whole_number

POLICIES = tuple(policy.value for policy in vision.AutoAugmentPolicy)
"""Names of the learned policies."""


@TRANSFORMS.register_module()
class SecondView(BaseTransform):
    """Augment a copy of the image by steps of its own, as ``second_view``.

    The steps that follow change the first view only. Pack the second one with
    ``PackFERInputs(algorithm_keys=('second_view',))``. ``FERDataPreprocessor``
    normalises it in training like the first one. Methods that compare two views read
    it, such as SOP+ and DivideMix.

    Args:
        transforms (Sequence[dict | Callable]): Steps of the second view. At their end
            it must have the size of the first view.
    """

    def __init__(self, transforms: Sequence[Any]):
        self.transforms = Compose(transforms)

    def transform(self, results: dict) -> Optional[dict]:
        """Add ``second_view``, uint8 (C, H, W), to the sample.

        Args:
            results (dict): Sample with ``img``, uint8 (H, W) or (H, W, C).

        Raises:
            ValueError: There is no image yet, or none after the steps.
        """
        if 'img' not in results:
            raise ValueError(
                'SecondView: the sample has no image yet. Put this step after the one '
                'that loads the image, such as LoadFERImage.'
            )
        # Some steps change the image that they are given.
        view = self.transforms(dict(results, img=results['img'].copy()))
        if view is None:
            return None
        if 'img' not in view:
            raise ValueError(
                'SecondView: its steps return no image. Packing belongs to the end of '
                'the whole pipeline: remove PackFERInputs from the transforms.'
            )
        results['second_view'] = PackInputs.format_input(view['img'])
        return results

    def __repr__(self) -> str:
        # The log has it in a sentence, so one line.
        steps = ', '.join(type(step).__name__ for step in self.transforms.transforms)
        return f'{type(self).__name__}({steps})'


@TRANSFORMS.register_module()
class LearnedAugment(BaseTransform):
    """Augment by a learned policy: AutoAugment (Cubuk et al., CVPR 2019).

    The operations are those of torchvision's ``AutoAugment``, which has the policy for
    CIFAR-10 that mmpretrain's ``AutoAugment`` lacks.

    Args:
        policy (str): ``'cifar10'``, ``'imagenet'`` or ``'svhn'``: the data for which
            the policy was learned. Defaults to ``'cifar10'``.
        fill (int): Grey level of pixels from outside the image, 0 to 255. Defaults to
            128.
    """

    def __init__(self, policy: str = 'cifar10', fill: int = 128):
        self.policy = choices(self, 'policy', policy, POLICIES)
        self.fill = whole_number(self, 'fill', fill, 0, 255)
        self.augment = vision.AutoAugment(vision.AutoAugmentPolicy(policy), fill=fill)

    def transform(self, results: dict) -> dict:
        """Augment ``img``, uint8 (H, W), (H, W, 1) or (H, W, 3) with channels BGR.

        Raises:
            ValueError: The image is of another kind.
        """
        image = results['img']
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (1,), (3,)):
            raise ValueError(
                'LearnedAugment needs bytes (uint8) of one or three channels, got '
                f'{image.dtype} of the shape {image.shape}. Load the image by '
                'LoadFERImage, and put this step before those that change its type.'
            )
        # torchvision reads RGB.
        channels = image[..., None] if image.ndim == 2 else image[..., ::-1]
        found = self.augment(torch.from_numpy(channels.transpose(2, 0, 1).copy()))
        pixels = found.numpy().transpose(1, 2, 0)
        pixels = pixels[..., 0] if image.ndim == 2 else pixels[..., ::-1]
        results['img'] = np.ascontiguousarray(pixels)
        return results

    def __repr__(self) -> str:
        name = type(self).__name__
        return f'{name}(policy={self.policy!r}, fill={self.fill})'
