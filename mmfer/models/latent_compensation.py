"""Latent uncertainty compensation in any backbone: ALUM Eq. 8, DSU (ICLR'22).

During training, the mean and std of each channel are treated as Gaussian
variables. Their spread over the batch is the uncertainty of the layer.
Features get new statistics that are drawn from these Gaussians. The equations
are in :mod:`mmfer.models.latent_statistics`.

The module has no parameters and no state, so a model has the same checkpoint
keys with and without it.
"""

import random
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmengine.dist import get_world_size
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range
from mmfer.utils.presets import with_preset
from mmfer.utils.random import step_key

from .backbone_layers import choose_layers, find_layers, map_elements
from .gathering import own_normal
from .latent_statistics import compensate

# The published code of DSU, and ALUM's equations to the letter: Algorithm 1 has no
# gates, Eqs. 5 to 7 centre on means over the batch, all divisors are n, and Eq. 7 has
# a single epsilon.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(prob=0.5, stats='instance', shared_noise=False, unbiased=True),
    paper=dict(prob=1.0, stats='batch', shared_noise=True, unbiased=False),
)


class Draw(NamedTuple):
    """Random decision for one feature map in one forward pass.

    Attributes:
        opens (bool): Whether the gate is open.
        key (int, optional): Key of the noise, see
            :func:`~mmfer.utils.random.step_key`. None: the noise comes from
            torch's global random state.
    """

    opens: bool
    key: Optional[int] = None


@MODELS.register_module()
class LatentCompensation(nn.Module):
    """Apply :func:`compensate` to the outputs of layers of a backbone.

    It has no parameters or buffers. In eval mode or with a closed gate,
    features pass unchanged, bit for bit. A layer may return several maps, as
    the stages of HRNet do. Each map then has its own gate.

    In a training step, gates and noise depend on the seed and the step. In
    several processes, all gates are the same, and the spread is that of the
    global batch, see :mod:`mmfer.models.gathering`.

    Args:
        layers (Sequence[str], optional): Names of backbone modules (as in
            ``backbone.named_modules()``) whose outputs are compensated.
            ``None`` chooses them: in ResNets the six positions of DSU's code,
            else the last layer at each resolution, see
            :func:`~mmfer.models.backbone_layers.choose_layers`.
        prob (float, optional): Probability that the gate of a layer is open in
            a forward pass, for the whole batch together. 0.5 in DSU's
            scripts; 1 is the literal Algorithm 1 of ALUM. Defaults to that of
            the preset.
        stats (str, optional): ``'instance'`` or ``'batch'``, see
            :func:`compensate`. Defaults to that of the preset.
        shared_noise (bool, optional): Use one draw for both mean and std,
            because Eq. 7 has a single epsilon. False: one draw for each (DSU).
            Every channel of every image has draws of its own. Defaults to that
            of the preset.
        eps (float): Added to variances. The equations of ALUM have none, but
            without it a channel that is dead in the whole batch would divide
            by 0. Defaults to 1e-6 (DSU) for all presets.
        unbiased (bool, optional): See :func:`compensate`. Defaults to that of
            the preset.
        preset (str): ``'default'`` (the published code of DSU) or ``'paper'``
            (Eqs. 2 to 8 of ALUM to the letter). It sets the options of
            ``PRESETS`` where these are not given. Defaults to ``'default'``.

    Raises:
        ValueError: An option is out of range. :meth:`attach` raises further
            errors.
    """

    def __init__(
        self,
        layers: Optional[Sequence[str]] = None,
        prob: Optional[float] = None,
        stats: Optional[str] = None,
        shared_noise: Optional[bool] = None,
        eps: float = 1e-6,
        unbiased: Optional[bool] = None,
        preset: str = 'default',
    ):
        given = dict(
            prob=prob, stats=stats, shared_noise=shared_noise, unbiased=unbiased
        )
        chosen = with_preset(type(self), PRESETS, preset, given)
        super().__init__()
        self.layers = None if layers is None else list(layers)
        self.prob = in_range(self, 'prob', chosen['prob'], 0, 1)
        self.stats = choices(self, 'stats', chosen['stats'], ('instance', 'batch'))
        self.shared_noise: bool = chosen['shared_noise']
        self.unbiased: bool = chosen['unbiased']
        self.eps = in_range(self, 'eps', eps, 0)
        # Draws of the latest forward pass, by the name of the layer and the
        # index of the map.
        self._draws: Dict[tuple, Draw] = {}

    def attach(self, backbone: nn.Module, example: Tensor) -> List[str]:
        """Register forward hooks on the layers of a backbone, ALUM Eq. 8.

        Args:
            backbone (nn.Module): Any backbone. Its state-dict keys do not change.
            example (Tensor): An input batch, with which layers and the layout
                of their outputs are found.

        Returns:
            list[str]: Names of the layers that have hooks now.

        Raises:
            ValueError: The backbone has no layer of a given name, or a layer
                does not run exactly once in a forward pass. Or the backbone
                recomputes features in the backward pass.
        """
        if getattr(backbone, 'no_custom_backward', True) is False:
            raise ValueError(
                f'LatentCompensation: {type(backbone).__name__} recomputes its '
                'features in the backward pass from those of later layers. '
                'Compensation changes these, so gradients would be wrong. Set '
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
        backbone.register_forward_pre_hook(partial(self._draw_all, keys))
        return self.layers

    def draw(self, count: int) -> List[Draw]:
        """Draw gates, and keys of the noise.

        Outside of a training step, gates come from Python's own generator. The
        CPU would have to wait for a draw that is made on the GPU.

        Args:
            count (int): Number of feature maps.
        """
        key = step_key('latent_compensation')
        if key is None:
            return [Draw(random.random() < self.prob) for _ in range(count)]
        generator = random.Random(key)
        return [
            Draw(generator.random() < self.prob, generator.getrandbits(63))
            for _ in range(count)
        ]

    def _draw_all(self, keys: List[tuple], backbone: nn.Module, args: tuple) -> None:
        # Draw everything at the start of a pass. With with_cp=True a layer runs
        # again in the backward pass, and must then find the same gate and noise.
        if backbone.training and self.training:
            self._draws = dict(zip(keys, self.draw(len(keys)), strict=True))

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
            draw = self._draws.get((name, place))
            if not maps[place]:
                return self(x, draw)
            # Channels are the last axis.
            return self(x.permute(0, 3, 1, 2), draw).permute(0, 2, 3, 1)

        return map_elements(compensate_one, output, {i: i for i in maps})

    def forward(self, x: Tensor, draw: Optional[Draw] = None) -> Tensor:
        """Compensate the output of one layer.

        Args:
            x (Tensor): (B, C, H, W) or tokens (B, L, C).
            draw (Draw, optional): Gate and key of the noise. None: draw them.
                Defaults to None.
        """
        if not self.training:
            return x
        opens, key = self.draw(1)[0] if draw is None else draw
        if not opens:
            return x
        tokens = x.ndim == 3
        feature = x.transpose(1, 2).unsqueeze(-1) if tokens else x
        # A single value has no spread, so there is nothing to compensate.
        if len(feature) * get_world_size() < 2 or feature[0, 0].numel() < 2:
            return x
        noise = self.draw_noise(feature, key)
        out = compensate(feature, noise, self.stats, self.eps, self.unbiased)
        return out.squeeze(-1).transpose(1, 2) if tokens else out

    def draw_noise(self, x: Tensor, key: Optional[int] = None) -> Tuple[Tensor, Tensor]:
        """Draw standard normal noise for the mean and for the std, each (B, C).

        With ``shared_noise`` both are the same tensor.

        Args:
            x (Tensor): Feature map (B, C, H, W).
            key (int, optional): See :class:`Draw`.
        """
        dtype = torch.promote_types(x.dtype, torch.float32)
        like = torch.empty(0, device=x.device, dtype=dtype)
        first, second = own_normal(key, x.shape[0], x.shape[1], like)
        return first, first if self.shared_noise else second

    def extra_repr(self) -> str:
        """Return the options as text, for ``print``."""
        return (
            f'layers={self.layers}, prob={self.prob}, '
            f'stats={self.stats!r}, shared_noise={self.shared_noise}, '
            f'unbiased={self.unbiased}'
        )
