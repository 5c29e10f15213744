"""Mixup and Manifold Mixup: mix images or features, and labels (ICLR'18, ICML'19)."""

import random
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from mmfer.datasets.batches import SampleBatch, Samples, has_field, stack_field
from mmfer.models.backbone_layers import LayerRun
from mmfer.models.feature_perturbation import Draw, FeaturePerturbation
from mmfer.models.gathering import gather_batch, own_images
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range
from mmfer.utils.random import step_key

INPUT = 'input'
"""Name that stands for the images."""


class Mixture(NamedTuple):
    """Partners and ratio of the mixture of one forward pass.

    Attributes:
        ratio (float): Share of the image itself, in [0, 1].
        partners (Tensor): Permutation of the global batch of W processes, int64
            (B * W, ), on the CPU.
    """

    ratio: float
    partners: Tensor


def mix_with_partners(x: Tensor, mixture: Mixture) -> Tensor:
    """Mix each image, feature or label with that of its partner.

    Args:
        x (Tensor): Shape (B, ...), floating point.
        mixture (Mixture): Ratio and partners.

    Returns:
        Tensor: ratio * x + (1 - ratio) * x[partners], same shape and type. Partners
        come from the global batch, see :mod:`mmfer.models.gathering`.
    """
    partners = own_images(mixture.partners).to(x.device, non_blocking=True)
    return torch.lerp(gather_batch(x).index_select(0, partners), x, mixture.ratio)


@MODELS.register_module()
class ManifoldMixup(FeaturePerturbation):
    """Mix the output of one layer, drawn anew in each forward pass, and the labels.

    With ``layers=['input']`` it is Mixup. The classifier calls :meth:`mix_labels`
    before its head, so the head must take soft labels, as ``CEHead`` does. Passes
    without gradients have no loss, and are not mixed.

    In a training step, layer, ratio and permutation depend on the seed and the step.
    In several processes, partners come from the global batch. For this, whole feature
    maps are gathered.

    Args:
        layers (Sequence[str], optional): Names of backbone modules, and ``'input'``
            for the images. Each is drawn with the same probability. None: the
            images, and in ResNets the first two stages (the paper's choice for
            CIFAR). In other backbones the images, and the first two of the last
            layers at each resolution.
        alpha (float): The ratio is drawn from Beta(alpha, alpha), once for the batch.
            Defaults to 2.0, the paper's value for CIFAR.
        prob (float): Probability that a forward pass mixes. Defaults to 1.0.

    Raises:
        ValueError: An option is out of range. :meth:`attach` raises further errors.
    """

    draw_name = 'manifold_mixup'
    title = 'Manifold Mixup'

    def __init__(
        self,
        layers: Optional[Sequence[str]] = None,
        alpha: float = 2.0,
        prob: float = 1.0,
    ):
        super().__init__(layers, prob)
        self.alpha = in_range(self, 'alpha', alpha, 0, open_low=True)
        if self.layers == []:
            raise ValueError(
                'ManifoldMixup: layers is empty, so nothing would be mixed. Name '
                "layers of the backbone or 'input', or omit the option."
            )
        self.mixes_input = self.layers is None or INPUT in self.layers
        if self.layers is not None:
            self.layers = [name for name in self.layers if name != INPUT]
        self._mixture: Optional[Mixture] = None
        # Whether a training step has mixed images, but not yet their labels.
        self._labels_wait = False

    def choose(self, backbone: nn.Module, example: Tensor) -> List[LayerRun]:
        """Choose layers if the config names none: the first two stages."""
        return self.choose_stages(backbone, example)[:2]

    def attach(self, backbone: nn.Module, example: Tensor) -> List[str]:
        """Register forward hooks on the layers, and on the input of a backbone.

        See :meth:`FeaturePerturbation.attach`.
        """
        names = super().attach(backbone, example)
        backbone.register_forward_pre_hook(self._mix_input)
        self.layers = [INPUT] * self.mixes_input + names
        return self.layers

    def draw_pass(self, keys: List[tuple]) -> Dict[tuple, Draw]:
        """Draw whether to mix, and in which layer; all maps of the layer are mixed.

        Args:
            keys (list[tuple]): Name of the layer and index of the map.

        Raises:
            RuntimeError: The labels of the previous training step were not mixed.
        """
        self._mixture = None
        if not torch.is_grad_enabled():
            return dict.fromkeys([(INPUT, None), *keys], Draw(False))
        if self._labels_wait:
            raise RuntimeError(
                'ManifoldMixup: the previous training step mixed images, but nobody '
                'asked for mixed labels, so it taught wrong ones. Use a FERClassifier '
                'whose loss goes through its head, or set latent_compensation=None.'
            )
        key = step_key(self.draw_name)
        rng = random.Random(random.getrandbits(63) if key is None else key)
        places = [INPUT] * self.mixes_input + list(dict.fromkeys(k[0] for k in keys))
        opens, chosen = rng.random() < self.prob, rng.choice(places)
        own_key = rng.getrandbits(63)
        self._labels_wait = opens and key is not None
        return {
            k: Draw(opens and k[0] == chosen, own_key) for k in [(INPUT, None), *keys]
        }

    def _mix_input(self, backbone: nn.Module, args: tuple) -> Optional[tuple]:
        if not (backbone.training and self.training):
            return None
        return (self(args[0], self._draws[INPUT, None]), *args[1:])

    def forward(self, x: Tensor, draw: Optional[Draw] = None) -> Tensor:
        """Mix images or the output of one layer, if it was drawn.

        Args:
            x (Tensor): Shape (B, ...).
            draw (Draw): Result of :meth:`draw_pass`.
        """
        if not self.training or draw is None or not draw.opens:
            return x
        return self.perturb(x, draw.key)

    def perturb(self, x: Tensor, key: Optional[int]) -> Tensor:
        """Mix images or the output of one layer, and remember how.

        Args:
            x (Tensor): Shape (B, ...).
            key (int, optional): Key of ratio and permutation.
        """
        self._mixture = self.draw_mixture(len(x) * get_world_size(), key)
        return mix_with_partners(x, self._mixture)

    def draw_mixture(self, count: int, key: Optional[int]) -> Mixture:
        """Draw ratio and partners, on the CPU.

        Args:
            count (int): Images of the global batch, B * W.
            key (int, optional): Key of the draw.
        """
        rng = np.random.default_rng(key)
        ratio = float(rng.beta(self.alpha, self.alpha))
        return Mixture(ratio, torch.from_numpy(rng.permutation(count)))

    def mix_labels(self, data_samples: Samples, num_classes: int) -> SampleBatch:
        """Return the samples with the labels of the latest forward pass.

        Args:
            data_samples (SampleBatch | list[DataSample]): B samples with
                ``gt_label`` or ``gt_score``.
            num_classes (int): Number of classes C.

        Returns:
            SampleBatch: With ``gt_score``, float32 (B, C).
        """
        self._labels_wait = False
        if has_field(data_samples, 'gt_score'):
            scores = stack_field(data_samples, 'gt_score').float()
        else:
            labels = stack_field(data_samples, 'gt_label')
            scores = F.one_hot(labels, num_classes).float()
        if self._mixture is not None:
            scores = mix_with_partners(scores, self._mixture)
        if not isinstance(data_samples, SampleBatch):
            data_samples = SampleBatch.from_samples(data_samples)
        return data_samples.replace(gt_score=scores)

    def extra_repr(self) -> str:
        """Return the options as text, for ``print``."""
        return f'layers={self.layers}, alpha={self.alpha}, prob={self.prob}'
