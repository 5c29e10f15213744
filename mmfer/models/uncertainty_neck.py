"""Neck that predicts a mean and a log-variance (RUL, DUL, ALUM Eq. 9)."""

from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple, Union, cast

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mmfer.models.dropout import dropout
from mmfer.models.utils import as_map, full_precision, last_feature
from mmfer.registry import MODELS
from mmfer.utils.checks import positive_int
from mmfer.utils.presets import with_preset

# RUL's published code has 64 dimensions. Its supplement (Fig. 16) found 32 to be the
# best number. The code refuses every other number, so nothing else differs.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(out_channels=64),
    official=dict(out_channels=64),
    paper=dict(out_channels=32),
)


class GaussianFeature(NamedTuple):
    """A Gaussian feature, N(mean, exp(log_var)).

    Attributes:
        mean (Tensor): Shape (B, D).
        log_var (Tensor): Logarithm of the per-dimension variance, (B, D).
    """

    mean: Tensor
    log_var: Tensor

    @property
    def variance(self) -> Tensor:
        """Variance of each dimension, sigma of ALUM Eq. 9, > 0, (B, D)."""
        return self.log_var.exp()

    def uncertainty(self, mean: str = 'arithmetic') -> Tensor:
        """Return the mean of a sample's variances over the dimensions.

        Args:
            mean (str): ``'arithmetic'``, ``'geometric'`` or ``'harmonic'``. RUL
                computes its mixing weights from the arithmetic mean. ALUM Eq. 11
                trains only ratios within a dimension, so each dimension may have
                any scale. A few dimensions of large scale then decide the
                arithmetic mean. The ranking by the geometric mean does not
                depend on the scales. DUL reports the harmonic mean, which
                dimensions of small variance decide. Defaults to
                ``'arithmetic'``.

        Returns:
            Tensor: > 0, shape (B, ).
        """
        if mean == 'geometric':
            return self.log_var.mean(dim=1).exp()
        if mean == 'harmonic':
            return self.log_var.neg().exp().mean(dim=1).reciprocal()
        return self.variance.mean(dim=1)


class UncertaintyBranch(nn.Sequential):
    """Layers BatchNorm (not affine), dropout, flatten, linear, BatchNorm.

    These are the layers of RUL's published code.

    Args:
        in_channels (int): Channels of the feature map.
        map_size (tuple[int, int]): Its height and width.
        out_channels (int): Feature dimension D.
        dropout (float): Drop probability.
    """

    def __init__(
        self,
        in_channels: int,
        map_size: Tuple[int, int],
        out_channels: int,
        dropout: float,
    ):
        super().__init__(
            nn.BatchNorm2d(in_channels, eps=2e-5, affine=False),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(in_channels * map_size[0] * map_size[1], out_channels),
            nn.BatchNorm1d(out_channels, eps=2e-5),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map a feature map (B, C, H, W) to (B, D)."""
        return self.project(self.normalise(x))

    def normalise(self, x: Tensor) -> Tensor:
        """Apply the first BatchNorm, and flatten the map to (B, C * H * W)."""
        return self[0](x).flatten(1)

    def project(self, flat: Tensor) -> Tensor:
        """Apply all layers after it; dropout acts on the flat map.

        Args:
            flat (Tensor): Result of :meth:`normalise`.

        Returns:
            Tensor: Shape (B, D).
        """
        layer = cast(nn.Dropout, self[1])
        return self[4](self[3](dropout(flat, layer.p, layer.training)))


@MODELS.register_module()
class UncertaintyNeck(BaseModule):
    """Predict mean and log-variance of a Gaussian feature, ALUM Eq. 9.

    Two branches of the same shape have separate parameters. The second one
    returns the *logarithm* of the variance, as in RUL's published code. So the
    variance needs no clamp, and BatchNorm at the end keeps the argument of
    exp() small.

    In training, both branches normalise the same map with the same statistics.
    So this is done once for both.

    Args:
        in_channels (int, optional): Channels of the feature map.
        map_size (tuple[int, int], optional): Height and width of the feature
            map. :class:`FERClassifier` fills in both arguments if the config
            omits them.
        out_channels (int, optional): Feature dimension D. Defaults to that of the
            preset.
        dropout (float): Drop probability before the linear layer. Defaults to
            0.4.
        preset (str): ``'default'`` or ``'official'`` (RUL's published code), both
            with 64 dimensions, or ``'paper'`` (its supplement) with 32. It sets
            ``out_channels`` where this is not given. Defaults to ``'default'``.

    Raises:
        ValueError: ``in_channels`` or ``map_size`` is missing, or an option is out of
            range.
    """

    def __init__(
        self,
        in_channels: Optional[int] = None,
        map_size: Optional[Tuple[int, int]] = None,
        out_channels: Optional[int] = None,
        dropout: float = 0.4,
        preset: str = 'default',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        chosen = with_preset(self, PRESETS, preset, dict(out_channels=out_channels))
        out_channels = positive_int(self, 'out_channels', chosen['out_channels'])
        if in_channels is None or map_size is None:
            raise ValueError(
                'UncertaintyNeck needs in_channels and map_size: give both, or '
                'use it inside a FERClassifier, which fills them in.'
            )
        self.out_channels = out_channels
        self.in_channels = in_channels
        self.map_size = (map_size[0], map_size[1])
        self.mean = UncertaintyBranch(in_channels, self.map_size, out_channels, dropout)
        self.log_var = UncertaintyBranch(
            in_channels, self.map_size, out_channels, dropout
        )

    def forward(self, feats: Union[Tensor, Sequence[Tensor]]) -> GaussianFeature:
        """Predict mean and log-variance.

        Args:
            feats (Tensor | Sequence[Tensor]): Output of the backbone. If there
                are several scales, the last one is used.

        Returns:
            GaussianFeature: ``mean`` and ``log_var``, (B, D), in the type of the
            weights.

        Raises:
            ValueError: The feature map has another height or width than
                ``map_size``.
        """
        x = as_map(last_feature(feats), self.in_channels)
        if x.shape[-2:] != self.map_size:
            raise ValueError(
                f'UncertaintyNeck was built for {self.map_size} maps but got '
                f'{tuple(x.shape[-2:])}: the images have another size than '
                'data_preprocessor.input_shape. Make both sizes equal.'
            )
        with full_precision(x):
            # Autocast may have made the map bfloat16.
            x = x.to(cast(nn.Linear, self.mean[3]).weight.dtype)
            flat = self.mean.normalise(x)
            return GaussianFeature(
                self.mean.project(flat), self.log_var.project(self._share(flat, x))
            )

    def _share(self, flat: Tensor, x: Tensor) -> Tensor:
        """Return the normalised map of the second branch, that of the first if equal.

        Args:
            flat (Tensor): Normalised map of the first branch.
            x (Tensor): The map.
        """
        first, second = self.mean[0], self.log_var[0]
        if not (first.training and second.training):
            # Running statistics of imported weights might differ.
            return self.log_var.normalise(x)
        with torch.no_grad():
            for name, statistic in second.named_buffers():
                statistic.copy_(first.get_buffer(name))
        return flat
