"""Encoders: from images of faces to features that tell expressions apart.

| name | what it is |
|---|---|
| `lite0` | middle layers of EfficientNet-Lite0 (ImageNet); extra `[pretrained]` |
| `hog` | gradients and pixels, without a network |
| a model, work dir or config | maps of a trained network |
"""

from typing import Any, Optional

from mmfer.models.efficientnet_lite import has_pretrained

from .hog import HOGEncoder
from .lite0 import Lite0Encoder
from .network import NetworkEncoder

__all__ = ['HOGEncoder', 'Lite0Encoder', 'NetworkEncoder', 'find_encoder']

WITHOUT_EXTRA = (
    'The encoder is hog, which has no network. It finds fewer wrong labels than lite0: '
    'pip install "mmfer[pretrained]".'
)


def find_encoder(
    name: Optional[str] = None, device: Any = None, checkpoint: Optional[str] = None
) -> Any:
    """Return the encoder of a name.

    Args:
        name (str, optional): ``'lite0'``, ``'hog'``, the name of a model with weights
            such as ``'alum_tiny_ferplus'``, a work dir, or a config. Defaults to None:
            ``'lite0'`` if the extra ``[pretrained]`` is installed, otherwise ``'hog'``.
        device (torch.device | str, optional): Where a network computes. Defaults to
            the best device available.
        checkpoint (str, optional): Weights for a config or a work dir.

    Returns:
        Extractor: See :class:`~mmfer.scan.Extractor`. Its attribute ``note`` is a
        sentence on what a user should know about this choice; mostly ''.

    Raises:
        MissingExtraError: ``'lite0'`` was named, and the extra is not installed.
        ValueError: There is no such encoder.
    """
    if checkpoint is not None and name in (None, 'lite0', 'hog'):
        raise ValueError(
            f'scan: the checkpoint {checkpoint} needs the config or the work dir of '
            'its network as the encoder.'
        )
    if name is None and not has_pretrained():
        return HOGEncoder(note=WITHOUT_EXTRA)
    if name == 'hog':
        return HOGEncoder()
    if name is None or name == 'lite0':
        return Lite0Encoder(device)
    try:
        return NetworkEncoder(name, checkpoint, device)
    except ValueError as error:
        raise ValueError(
            f'scan: the encoder {name!r} cannot be used: {error} Encoders are lite0, '
            'hog, models with weights, work dirs and configs.'
        ) from error
