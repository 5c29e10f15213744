"""Maps of any trained network: a shipped model, or one of the user's."""

import hashlib
import os.path as osp
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmfer.apis.checkpoints import read_work_dir
from mmfer.apis.hub import get_model
from mmfer.apis.preparation import FacePreparation
from mmfer.datasets.images.pixels import from_array
from mmfer.utils.devices import choose_device

# Number of maps that are taken, and most numbers that are kept of each.
MAPS, MOST = 3, 2304
TRAINED = (
    'If this network was trained on these labels, it has memorised some wrong ones, '
    'which then look right.'
)


class NetworkEncoder:
    """Encoder from a trained network: its last map of each of the last three sizes.

    Each map is averaged to at most 3 x 3, fewer if it has many channels. Faces are
    prepared as in the test pipeline of the network's config.

    Args:
        model (str): Name of a model with weights, a work dir, or a config.
        checkpoint (str, optional): Weights. Defaults to those that belong to
            ``model``.
        device (torch.device | str, optional): Defaults to the best one available.

    Raises:
        ValueError: There is no such model, it has no weights, or its backbone gives
            no maps.
    """

    note = TRAINED

    def __init__(
        self, model: str, checkpoint: Optional[str] = None, device: Any = None
    ):
        self.device = choose_device(device)
        weights: Union[bool, str] = checkpoint or True
        source = model
        if osp.isdir(model):
            source, weights = read_work_dir(model, weights)
        network = get_model(source, weights)
        self.preparation = FacePreparation(network._config)
        self.preprocessor = network.data_preprocessor.to(self.device)
        self.backbone = _find_backbone(network, model).to(self.device)
        # get_model has set the evaluation mode.
        assert not self.backbone.training
        self.name = osp.basename(osp.normpath(model))
        self._layers, self.outputs = self._choose_layers()
        self.version = f'network 1 {self._hash()}'

    @torch.inference_mode()
    def __call__(self, images: List[np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the maps of B images; see :class:`~mmfer.scan.Extractor`."""
        maps = dict(self._forward(images))
        return {
            output: _pooled(maps[layer]).float().cpu().numpy()
            for output, layer in zip(self.outputs, self._layers)
        }

    def _forward(self, images: List[np.ndarray]) -> List[Tuple[str, Tensor]]:
        """Return the maps (B, C, H, W) of all layers, in the order of computation."""
        color = self.preparation.color_type
        faces = [self.preparation.fit(from_array(image, color)) for image in images]
        batch = self.preprocessor(self.preparation.collate(faces), False)
        found: List[Tuple[str, Tensor]] = []

        def keep(name: str) -> Any:
            def hook(module: nn.Module, inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor) and output.ndim == 4:
                    found.append((name, output))

            return hook

        handles = [
            module.register_forward_hook(keep(name))
            for name, module in self.backbone.named_modules()
        ]
        try:
            self.backbone(batch['inputs'])
        finally:
            for handle in handles:
                handle.remove()
        return found

    @torch.inference_mode()
    def _choose_layers(self) -> Tuple[List[str], Dict[str, Tuple]]:
        """Return the layers whose maps are taken, and the outputs of the encoder."""
        blank = np.zeros((64, 64, 3), np.uint8)
        last: Dict[Tuple[int, ...], Tuple[str, Tensor]] = {}
        for name, feature in self._forward([blank, blank]):
            if min(feature.shape[2:]) > 1:
                last[tuple(feature.shape[2:])] = name, feature
        if not last:
            raise ValueError(
                f'the backbone {type(self.backbone).__name__} of {self.name!r} gives '
                'no maps (B, C, H, W). Choose another encoder: lite0 or hog.'
            )
        sizes = sorted(last)[:MAPS]
        layers = [last[size][0] for size in sizes]
        outputs: Dict[str, Tuple] = {}
        for number, size in enumerate(reversed(sizes)):
            outputs[f'map{number}'] = ((_pooled(last[size][1]).shape[1],), 'float16')
        return layers[::-1], outputs

    def _hash(self) -> str:
        """Return a hash of all that decides the maps."""
        config = (self.preparation.pipeline, self.preparation.image_size, self._layers)
        digest = hashlib.sha256(repr((config, MOST, repr(self.backbone))).encode())
        for part in (self.preprocessor, self.backbone):
            for name, value in part.state_dict().items():
                digest.update(name.encode())
                digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def _find_backbone(network: nn.Module, model: str) -> nn.Module:
    """Return the first backbone of a network."""
    for name, module in network.named_modules():
        if name.split('.')[-1] == 'backbone':
            return module
    raise ValueError(
        f'{type(network).__name__} of {model!r} has no backbone. Choose another '
        'encoder: lite0 or hog.'
    )


def _pooled(feature: Tensor) -> Tensor:
    """Average a map to at most 3 x 3 and ``MOST`` numbers, (B, D)."""
    channels, side = feature.shape[1], min(3, *feature.shape[2:])
    while side > 1 and channels * side**2 > MOST:
        side -= 1
    return F.adaptive_avg_pool2d(feature, side).flatten(1)
