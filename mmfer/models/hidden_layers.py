"""Fully connected layers between a backbone and a linear head."""

from typing import Any, List, Optional, Tuple

import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import in_range, positive_int

from .utils import as_map, last_feature


@MODELS.register_module()
class HiddenLayers(BaseModule):
    """Neck of hidden layers over the flattened feature map, for any linear head.

    With its defaults it has the hidden layers of ``MultiTaskHead``.

    Args:
        in_channels (int): Channels of the backbone's last feature map.
        map_size (tuple[int, int]): Height and width of that map. ``FERClassifier``
            fills in both.
        hidden_dim (int): Width of each layer. Defaults to 512.
        num_layers (int): Defaults to 2.
        batch_norm (bool): Normalise before each ReLU. Defaults to False.
        dropout (float): Dropout rate after each layer, in [0, 1). Defaults to 0.5.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        in_channels: int,
        map_size: Tuple[int, int],
        hidden_dim: int = 512,
        num_layers: int = 2,
        batch_norm: bool = False,
        dropout: float = 0.5,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg)
        positive_int(self, 'hidden_dim', hidden_dim)
        positive_int(self, 'num_layers', num_layers)
        in_range(self, 'dropout', dropout, 0, 1, open_high=True)
        self.map_size = map_size
        width = in_channels * map_size[0] * map_size[1]
        layers: List[nn.Module] = []
        for _ in range(num_layers):
            layers.append(nn.Linear(width, hidden_dim))
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden_dim))
            layers.append(nn.ReLU(inplace=True))
            if dropout:
                layers.append(nn.Dropout(dropout))
            width = hidden_dim
        self.layers = nn.Sequential(*layers)

    def forward(self, feats: Any) -> Tuple[Tensor]:
        """Map the deepest feature, (B, C, H, W), to (B, hidden_dim), in a tuple."""
        return (self.layers(as_map(last_feature(feats)).flatten(1)),)
