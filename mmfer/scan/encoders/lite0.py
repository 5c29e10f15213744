"""Middle layers of EfficientNet-Lite0 with ImageNet weights."""

from typing import Any, Dict, List

import numpy as np
import torch
import torch.nn.functional as F

from mmfer.models.efficientnet_lite import (
    CHANNELS,
    MEAN,
    SHA256,
    STD,
    EfficientNetLite0,
    load_pretrained_lite0,
)
from mmfer.utils.devices import choose_device

from .folding import fold_batch_norm
from .images import resize

# Side of the image in pixels.
SIDE = 96
# Blocks whose outputs are taken, with the side of the grid to which they are averaged.
# The output of block 3 has 6 x 6 pixels, all of which are kept.
GRIDS = {3: 6, 5: 3}


class Lite0Encoder:
    """Encoder with ImageNet weights: two middle layers, averaged to a grid.

    The last layers know objects; the middle ones know what a face looks like.

    Args:
        device (torch.device | str, optional): Defaults to the best one available.

    Raises:
        MissingExtraError: The extra ``[pretrained]`` is not installed.
    """

    name, note = 'lite0', ''
    version = f'lite0 1 {SIDE} {GRIDS} {SHA256[:16]}'
    outputs = {
        f'block{i}': ((CHANNELS[i] * side**2,), 'float16') for i, side in GRIDS.items()
    }

    def __init__(self, device: Any = None):
        self.device = choose_device(device)
        network = EfficientNetLite0(out_indices=tuple(GRIDS))
        network.load_state_dict(load_pretrained_lite0(), strict=False)
        network.eval()
        fold_batch_norm(network)
        network.to(self.device, memory_format=torch.channels_last)
        self.network = network.requires_grad_(False)

    @torch.inference_mode()
    def __call__(self, images: List[np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the maps of B images; see :class:`~mmfer.scan.Extractor`."""
        pixels = np.stack([resize(image, SIDE) for image in images])
        # The weights expect red first; the array has channels last already.
        batch = torch.from_numpy(pixels).to(self.device).flip(3).permute(0, 3, 1, 2)
        maps = self.network((batch.float() - MEAN[0]) / STD[0])
        return {
            name: F.adaptive_avg_pool2d(feature, side).flatten(1).cpu().numpy()
            for name, side, feature in zip(self.outputs, GRIDS.values(), maps)
        }
