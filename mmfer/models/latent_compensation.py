"""Latent uncertainty compensation in any backbone: ALUM Eq. 8, DSU (ICLR'22).

During training the feature statistics of each channel are treated as
Gaussian. Their spread over the batch is the uncertainty of the layer, and
features are redrawn from it. The equations are in
:mod:`mmfer.models.latent_statistics`. The module learns nothing and has no
state, so that a model's checkpoint is the same with and without it.
"""

import random
from functools import partial
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range

from .backbone_layers import choose_layers, find_layers, map_elements
from .latent_statistics import compensate


@MODELS.register_module()
class LatentCompensation(nn.Module):
    """Apply :func:`compensate` to the outputs of layers of a backbone.

    It has no parameters or buffers. In eval mode and with a closed gate the
    features pass unchanged, bit for bit. A layer may return several maps, as
    the stages of HRNet do; then each map has a gate of its own.

    Args:
        layers (Sequence[str], optional): Names of backbone modules (as in
            ``backbone.named_modules()``) whose outputs are compensated.
            ``None`` finds them: for ResNets the six positions of DSU's code,
            otherwise the last layer at each resolution, see
            :func:`~mmfer.models.backbone_layers.choose_layers`.
        prob (float): Probability that the gate of a layer is open in a
            forward pass, for the whole batch together. Defaults to 0.5, as
            in DSU's scripts; 1 is the literal Algorithm 1 of ALUM.
        stats (str): ``'instance'`` or ``'batch'``, see :func:`compensate`.
        shared_noise (bool): Use one draw for mean and std, as the single
            epsilon of Eq. 7 may mean, instead of two. Defaults to False (DSU).
        eps (float): Added to variances. Defaults to 1e-6.
        unbiased (bool): See :func:`compensate`. Defaults to True.

    Raises:
        ValueError: An option has no meaning. :meth:`attach` raises further
            errors.
    """

    def __init__(
        self,
        layers: Optional[Sequence[str]] = None,
        prob: float = 0.5,
        stats: str = 'instance',
        shared_noise: bool = False,
        eps: float = 1e-6,
        unbiased: bool = True,
    ):
        super().__init__()
        self.layers = None if layers is None else list(layers)
        self.prob = in_range(self, 'prob', prob, 0, 1)
        self.stats = choices(self, 'stats', stats, ('instance', 'batch'))
        self.shared_noise = shared_noise
        self.eps = eps
        self.unbiased = unbiased
        # Whether the gate of each map of each layer is open, in the latest
        # forward pass.
        self._gates: Dict[tuple, bool] = {}

    def attach(self, backbone: nn.Module, example: Tensor) -> List[str]:
        """Register forward hooks on layers of a backbone, ALUM Eq. 8.

        Args:
            backbone (nn.Module): Its state-dict keys stay as they are.
            example (Tensor): An input batch, for finding layers and the
                layout of their outputs.

        Returns:
            list[str]: Names of the layers that have hooks now.

        Raises:
            ValueError: The backbone has no layer of a given name, a layer
                does not run exactly once in a forward pass, or the features
                of the backbone may not be changed.
        """
        if getattr(backbone, 'no_custom_backward', True) is False:
            raise ValueError(
                f'LatentCompensation: {type(backbone).__name__} recomputes its '
                'features in the backward pass from later ones, which '
                'compensation has changed, so gradients would be wrong. Set '
                'backbone.no_custom_backward=True, or '
                'latent_compensation=None.'
            )
        # A module that is used in several places has several names.
        modules = dict(backbone.named_modules(remove_duplicate=False))
        if self.layers is None:
            chosen = choose_layers(backbone, example)
            self.layers = [layer.name for layer in chosen]
        else:
            chosen = find_layers(backbone, example, self.layers, modules)
        for layer in chosen:
            modules[layer.name].register_forward_hook(
                partial(self._hook, name=layer.name, maps=layer.maps)
            )
        keys = [(layer.name, i) for layer in chosen for i in layer.maps]
        backbone.register_forward_pre_hook(partial(self._draw_gates, keys))
        return self.layers

    def draw_gate(self) -> bool:
        """Draw whether a gate is open.

        The draw comes from Python's own generator, which ReproducibilityHook
        seeds from (seed, iteration). A draw in a tensor would have to be read
        from the device.
        """
        return random.random() < self.prob

    def _draw_gates(self, keys: List[tuple], backbone: nn.Module, args: tuple) -> None:
        # All gates are drawn at the start of a pass, because a layer that is
        # run again for its gradient (with_cp=True) must find the same gate.
        if backbone.training and self.training:
            self._gates = {key: self.draw_gate() for key in keys}

    def _hook(
        self,
        module: nn.Module,
        args: tuple,
        output: Any,
        name: str,
        maps: Dict[Optional[int], bool],
    ) -> Any:
        if not (module.training and self.training):
            return None

        def compensate_one(x: Tensor, place: Optional[int]) -> Tensor:
            gate = self._gates.get((name, place))
            if not maps[place]:
                return self(x, gate)
            # Channels are the last axis.
            return self(x.permute(0, 3, 1, 2), gate).permute(0, 2, 3, 1)

        return map_elements(compensate_one, output, {i: i for i in maps})

    def forward(self, x: Tensor, gate: Optional[bool] = None) -> Tensor:
        """Compensate the output of one layer.

        Args:
            x (Tensor): (B, C, H, W) or tokens (B, L, C).
            gate (bool, optional): Whether the gate is open. Defaults to None:
                it is drawn.
        """
        if not self.training or not (self.draw_gate() if gate is None else gate):
            return x
        tokens = x.ndim == 3
        feature = x.transpose(1, 2).unsqueeze(-1) if tokens else x
        # A statistic over one value has no spread: nothing to compensate.
        if feature.shape[0] < 2 or feature[0, 0].numel() < 2:
            return x
        out = compensate(
            feature, self.draw_noise(feature), self.stats, self.eps, self.unbiased
        )
        return out.squeeze(-1).transpose(1, 2) if tokens else out

    def draw_noise(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """Draw standard normal noise (B, C), first for the mean, then for the std.

        With ``shared_noise`` both are the same tensor.
        """
        shape = x.shape[:2]
        dtype = torch.promote_types(x.dtype, torch.float32)
        first = torch.randn(shape, device=x.device, dtype=dtype)
        if self.shared_noise:
            return first, first
        return first, torch.randn(shape, device=x.device, dtype=dtype)

    def extra_repr(self) -> str:
        """Return the options, for ``print``."""
        return (
            f'layers={self.layers}, prob={self.prob}, '
            f'stats={self.stats!r}, shared_noise={self.shared_noise}'
        )
