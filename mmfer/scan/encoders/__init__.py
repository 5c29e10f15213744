"""Encoders: from images of faces to features that tell expressions apart."""

from typing import Any, Optional

from mmfer.utils.checks import choices

from .hog import HOGEncoder

__all__ = ['HOGEncoder', 'find_encoder']


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
    choices('scan', 'encoder', name, ('hog',), optional=True)
    encoder = HOGEncoder()
    return encoder
