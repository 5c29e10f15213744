"""MixStyle: mix the feature statistics of two images (ICLR'21)."""

from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.dist import get_world_size
from torch import Tensor

from mmfer.models.backbone_layers import LayerRun
from mmfer.models.feature_perturbation import FeaturePerturbation
from mmfer.models.gathering import interleave, own_images
from mmfer.models.latent_statistics import Moments, channel_moments
from mmfer.models.utils import as_map, at_least_float32
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range


def mix_statistics(own: Moments, partner: Moments, ratio: Tensor) -> Moments:
    """Mix the statistics of each image with those of its partner.

    Args:
        own (Moments): Mean and std of each channel, each (B, C).
        partner (Moments): The same of the partners, each (B, C).
        ratio (Tensor): Share of the own statistics, in [0, 1], (B, 1).

    Returns:
        Moments: ratio * own + (1 - ratio) * partner.
    """
    mean, std = (
        ratio * value + (1 - ratio) * other
        for value, other in zip(own, partner, strict=True)
    )
    return Moments(mean, std)


def set_statistics(x: Tensor, own: Moments, new: Moments) -> Tensor:
    """Give each channel of each image another mean and std.

    Args:
        x (Tensor): Feature map (B, C, H, W).
        own (Moments): Statistics of ``x``, each (B, C), std above 0.
        new (Moments): Statistics of the result, each (B, C).

    Returns:
        Tensor: Shape of ``x``: (x - own.mean) / own.std * new.std + new.mean.
    """
    scale = new.std / own.std
    return torch.addcmul(as_map(new.mean - own.mean * scale), x, as_map(scale))


def mix_styles(x: Tensor, ratio: Tensor, partners: Tensor, eps: float = 1e-6) -> Tensor:
    """Mix the statistics of images of the global batch.

    Statistics are constants: the gradient flows through the normalised feature only.

    Args:
        x (Tensor): Feature map (B, C, H, W), H * W >= 2.
        ratio (Tensor): Share of the own statistics, in [0, 1], (B, ).
        partners (Tensor): Index of each partner in the global batch of W processes,
            int64 (B, ), values in [0, B * W). See :mod:`mmfer.models.gathering`.
        eps (float): Added to variances. Defaults to 1e-6.

    Returns:
        Tensor: Same shape and type as ``x``.
    """
    wide = at_least_float32(x)
    with torch.no_grad():
        own = channel_moments(wide, eps, unbiased=True)
        everywhere = own
        if get_world_size() > 1:
            # Both statistics travel together.
            everywhere = Moments(*interleave(torch.stack(own, dim=1)).unbind(1))
        partner = Moments(*(value[partners] for value in everywhere))
        new = mix_statistics(own, partner, ratio.to(wide.dtype)[:, None])
    return set_statistics(wide, own, new).to(x.dtype)


def random_partners(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a permutation of the batch; an image may be its own partner.

    Args:
        count (int): Images of the global batch.
        rng (np.random.Generator): Source of the draw.

    Returns:
        np.ndarray: int64 (count, ).
    """
    return rng.permutation(count)


def crossdomain_partners(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a partner from the other half of the batch for each image.

    With an odd count, the image in the middle belongs to both halves.

    Args:
        count (int): Images of the global batch. The halves come from different
            domains, see :class:`~mmfer.datasets.DomainSampler`.
        rng (np.random.Generator): Source of the draw.

    Returns:
        np.ndarray: int64 (count, ).
    """
    order = np.arange(count)[::-1]
    half = (count + 1) // 2
    parts = order[:half], order[half:]
    return np.concatenate([part[rng.permutation(len(part))] for part in parts])


PARTNERS = dict(random=random_partners, crossdomain=crossdomain_partners)


@MODELS.register_module()
class MixStyle(FeaturePerturbation):
    """Apply :func:`mix_styles` to the outputs of layers of a backbone.

    In a training step, gates, ratios and partners depend on the seed and the step.
    In several processes, partners come from the global batch.

    Args:
        layers (Sequence[str], optional): Names of backbone modules whose outputs are
            changed. None: in ResNets the first three stages (the paper's choice for
            PACS). In other backbones the last layer at each resolution, except the
            last one. Features of the last stage say more about the class than about
            the style.
        prob (float): Probability that the gate of a layer is open in a forward pass,
            for the whole batch together. Defaults to 0.5.
        alpha (float): Ratios are drawn from Beta(alpha, alpha), one for each image.
            Defaults to 0.1.
        mix (str): ``'random'``: partners are a permutation of the batch.
            ``'crossdomain'``: partners come from the other half of the batch. The
            data loader then needs a ``DomainSampler``, which fills the halves of a
            batch from two domains. Defaults to ``'random'``.
        eps (float): Added to variances. Defaults to 1e-6.

    Raises:
        ValueError: An option is out of range. :meth:`attach` raises further errors.
    """

    draw_name = 'mixstyle'
    title = 'MixStyle'

    def __init__(
        self,
        layers: Optional[Sequence[str]] = None,
        prob: float = 0.5,
        alpha: float = 0.1,
        mix: str = 'random',
        eps: float = 1e-6,
    ):
        super().__init__(layers, prob)
        self.alpha = in_range(self, 'alpha', alpha, 0, open_low=True)
        self.mix = choices(self, 'mix', mix, PARTNERS)
        self.eps = in_range(self, 'eps', eps, 0, open_low=True)

    def choose(self, backbone: nn.Module, example: Tensor) -> List[LayerRun]:
        """Choose layers if the config names none: all stages but the last."""
        stages = self.choose_stages(backbone, example)
        return stages[:-1] or stages

    def perturb(self, x: Tensor, key: Optional[int]) -> Tensor:
        """Mix the statistics of the output of one layer.

        Args:
            x (Tensor): Feature map (B, C, H, W).
            key (int, optional): See
                :class:`~mmfer.models.feature_perturbation.Draw`.
        """
        ratio, partners = (
            own_images(draw).to(x.device, non_blocking=True)
            for draw in self.draw_mix(len(x) * get_world_size(), key)
        )
        return mix_styles(x, ratio, partners, self.eps)

    def draw_mix(self, count: int, key: Optional[int]) -> Tuple[Tensor, Tensor]:
        """Draw ratios and partners for the global batch, on the CPU.

        A GPU would draw other numbers from the same key.

        Args:
            count (int): Images of the global batch, B * W.
            key (int, optional): Key of the draw. None: it comes from torch's global
                random state.

        Returns:
            tuple[Tensor, Tensor]: Ratios, float64 (B * W, ), and indices, int64
            (B * W, ).
        """
        if key is None:
            key = int(torch.randint(2**62, ()))
        rng = np.random.default_rng(key)
        ratio = rng.beta(self.alpha, self.alpha, count)
        partners = PARTNERS[self.mix](count, rng)
        return torch.from_numpy(ratio), torch.from_numpy(partners)

    def extra_repr(self) -> str:
        """Return the options as text, for ``print``."""
        return (
            f'layers={self.layers}, prob={self.prob}, alpha={self.alpha}, '
            f'mix={self.mix!r}'
        )
