"""Encoders: from images of faces to features that tell expressions apart."""

from typing import Any, Optional

from mmfer.utils.checks import choices

from .hog import HOGEncoder
from .lite0 import Lite0Encoder

__all__ = ['HOGEncoder', 'Lite0Encoder', 'find_encoder']


def find_encoder(name: Optional[str] = None, device: Any = None) -> Any:
    """Return the encoder of a name.

    Args:
        name (str, optional): ``'hog'``. Defaults to None: the best one that is
            installed.
        device (torch.device | str, optional): Where a network computes. Defaults to
            the best device available.

    Returns:
        Extractor: See :class:`~mmfer.scan.Extractor`. ``note`` of it says in a
        sentence what a user should know about this choice, mostly ''.
    """
    choices('scan', 'encoder', name, ('hog', 'lite0'), optional=True)
    return HOGEncoder() if name == 'hog' else Lite0Encoder(device)
