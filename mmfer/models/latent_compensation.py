"""Latent uncertainty compensation in any backbone: ALUM Eq. 8, DSU (ICLR'22).

During training, the mean and std of each channel are treated as Gaussian
variables. Their spread over the batch is the uncertainty of the layer.
Features get new statistics that are drawn from these Gaussians. The equations
are in :mod:`mmfer.models.latent_statistics`.

The module has no parameters and no state, so a model has the same checkpoint
keys with and without it.
"""

from typing import Any, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range
from mmfer.utils.presets import with_preset

from .feature_perturbation import FeaturePerturbation
from .gathering import own_normal
from .latent_statistics import compensate

# The published code of DSU, and ALUM's equations to the letter: Algorithm 1 has no
# gates, Eqs. 5 to 7 centre on means over the batch, all divisors are n, and Eq. 7 has
# a single epsilon.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(prob=0.5, stats='instance', shared_noise=False, unbiased=True),
    paper=dict(prob=1.0, stats='batch', shared_noise=True, unbiased=False),
)


@MODELS.register_module()
class LatentCompensation(FeaturePerturbation):
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

    draw_name = 'latent_compensation'
    title = 'Latent compensation'

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
        super().__init__(layers, chosen['prob'])
        self.stats = choices(self, 'stats', chosen['stats'], ('instance', 'batch'))
        self.shared_noise: bool = chosen['shared_noise']
        self.unbiased: bool = chosen['unbiased']
        self.eps = in_range(self, 'eps', eps, 0)

    def perturb(self, x: Tensor, key: Optional[int]) -> Tensor:
        """Compensate the output of one layer, ALUM Eq. 7.

        Args:
            x (Tensor): Feature map (B, C, H, W).
            key (int, optional): See
                :class:`~mmfer.models.feature_perturbation.Draw`.
        """
        noise = self.draw_noise(x, key)
        return compensate(x, noise, self.stats, self.eps, self.unbiased)

    def draw_noise(self, x: Tensor, key: Optional[int] = None) -> Tuple[Tensor, Tensor]:
        """Draw standard normal noise for the mean and for the std, each (B, C).

        With ``shared_noise`` both are the same tensor.

        Args:
            x (Tensor): Feature map (B, C, H, W).
            key (int, optional): See
                :class:`~mmfer.models.feature_perturbation.Draw`.
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
