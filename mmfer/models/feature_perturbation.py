"""Perturbations of features in training, attached to the layers of any backbone.

The base of :class:`~mmfer.models.LatentCompensation` and of the modules of other
methods. A perturbation has no parameters and no state, so a model has the same
checkpoint keys with and without it.
"""

import random
from functools import partial
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import torch.nn as nn
from mmengine.dist import get_world_size
from torch import Tensor

from mmfer.utils.checks import in_range
from mmfer.utils.random import step_key

from .backbone_layers import LayerRun, choose_layers, find_layers, map_elements

# Last parts of the names of what comes before the stages of a ResNet.
STEM = ('conv1', 'stem', 'maxpool')


class Draw(NamedTuple):
    """Random decision for one feature map in one forward pass.

    Attributes:
        opens (bool): Whether the gate is open.
        key (int, optional): Key of all further draws for this map, see
            :func:`~mmfer.utils.random.step_key`. None: they come from the
            global random states.
    """

    opens: bool
    key: Optional[int] = None


class FeaturePerturbation(nn.Module):
    """Base of modules that change the outputs of layers in training.

    A subclass implements :meth:`perturb`. In eval mode or with a closed gate,
    features pass unchanged, bit for bit. A layer may return several maps, as the
    stages of HRNet do. Each map then has its own gate.

    In a training step, gates and keys depend on the seed and the step, and are the
    same in all processes.

    Args:
        layers (Sequence[str], optional): Names of backbone modules (as in
            ``backbone.named_modules()``) whose outputs are changed. ``None``: see
            :meth:`choose`.
        prob (float): Probability that the gate of a map is open in a forward pass,
            for the whole batch together.

    Raises:
        ValueError: ``prob`` is out of range. :meth:`attach` raises further errors.
    """

    # Name of its draws, see ``step_key``.
    draw_name = 'feature_perturbation'
    # What the log calls it.
    title = 'Feature perturbation'

    def __init__(self, layers: Optional[Sequence[str]], prob: float):
        super().__init__()
        self.layers = None if layers is None else list(layers)
        self.prob = in_range(self, 'prob', prob, 0, 1)
        # Draws of the latest forward pass, by the name of the layer and the
        # index of the map.
        self._draws: Dict[tuple, Draw] = {}

    def perturb(self, x: Tensor, key: Optional[int]) -> Tensor:
        """Change the output of one layer.

        Args:
            x (Tensor): Feature map (B, C, H, W). The global batch has at least two
                images, and each channel at least two values.
            key (int, optional): See :class:`Draw`.

        Returns:
            Tensor: Same shape and type as ``x``.
        """
        raise NotImplementedError

    def choose(self, backbone: nn.Module, example: Tensor) -> List[LayerRun]:
        """Choose layers if the config names none.

        In ResNets these are the six positions of DSU's code, else the last layer
        at each resolution, see :func:`~mmfer.models.backbone_layers.choose_layers`.
        """
        return choose_layers(backbone, example, type(self).__name__)

    def choose_stages(self, backbone: nn.Module, example: Tensor) -> List[LayerRun]:
        """Choose the layers of :func:`~mmfer.models.backbone_layers.choose_layers`.

        In ResNets only the stages, without the first convolution and the max-pool.
        """
        chosen = choose_layers(backbone, example, type(self).__name__)
        stages = [x for x in chosen if x.name.rpartition('.')[2] not in STEM]
        return stages or chosen

    def attach(self, backbone: nn.Module, example: Tensor) -> List[str]:
        """Register forward hooks on the layers of a backbone.

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
        name = type(self).__name__
        if getattr(backbone, 'no_custom_backward', True) is False:
            raise ValueError(
                f'{name}: {type(backbone).__name__} recomputes its features in the '
                f'backward pass from those of later layers. {name} changes these, so '
                'gradients would be wrong. Set backbone.no_custom_backward=True, or '
                'latent_compensation=None.'
            )
        # A module that is used in several places has several names.
        modules = dict(backbone.named_modules(remove_duplicate=False))
        if self.layers is None:
            chosen = self.choose(backbone, example)
            self.layers = [layer.name for layer in chosen]
        else:
            chosen = find_layers(backbone, example, self.layers, modules, name)
        for layer in chosen:
            modules[layer.name].register_forward_hook(
                partial(self._hook, name=layer.name, maps=layer.maps)
            )
        keys = [(layer.name, i) for layer in chosen for i in layer.maps]
        backbone.register_forward_pre_hook(partial(self._draw_all, keys))
        return self.layers

    def draw(self, count: int) -> List[Draw]:
        """Draw gates, and keys of what :meth:`perturb` draws.

        Outside of a training step, gates come from Python's own generator. The
        CPU would have to wait for a draw that is made on the GPU.

        Args:
            count (int): Number of feature maps.
        """
        key = step_key(self.draw_name)
        if key is None:
            return [Draw(random.random() < self.prob) for _ in range(count)]
        generator = random.Random(key)
        return [
            Draw(generator.random() < self.prob, generator.getrandbits(63))
            for _ in range(count)
        ]

    def draw_pass(self, keys: List[tuple]) -> Dict[tuple, Draw]:
        """Draw for all maps of a forward pass.

        Args:
            keys (list[tuple]): Name of the layer and index of the map.
        """
        return dict(zip(keys, self.draw(len(keys)), strict=True))

    def _draw_all(self, keys: List[tuple], backbone: nn.Module, args: tuple) -> None:
        # Draw everything at the start of a pass. With with_cp=True a layer runs
        # again in the backward pass, and must then find the same gate and noise.
        if backbone.training and self.training:
            self._draws = self.draw_pass(keys)

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

        def perturb_one(x: Tensor, place: Optional[int]) -> Tensor:
            draw = self._draws.get((name, place))
            if not maps[place]:
                return self(x, draw)
            # Channels are the last axis.
            return self(x.permute(0, 3, 1, 2), draw).permute(0, 2, 3, 1)

        return map_elements(perturb_one, output, {i: i for i in maps})

    def forward(self, x: Tensor, draw: Optional[Draw] = None) -> Tensor:
        """Change the output of one layer, if the gate is open.

        Args:
            x (Tensor): (B, C, H, W) or tokens (B, L, C).
            draw (Draw, optional): Gate and key. None: draw them. Defaults to None.
        """
        if not self.training:
            return x
        opens, key = self.draw(1)[0] if draw is None else draw
        if not opens:
            return x
        tokens = x.ndim == 3
        feature = x.transpose(1, 2).unsqueeze(-1) if tokens else x
        # A single value has no spread, and a single image no partner.
        if len(feature) * get_world_size() < 2 or feature[0, 0].numel() < 2:
            return x
        out = self.perturb(feature, key)
        return out.squeeze(-1).transpose(1, 2) if tokens else out
