"""Detection of the steps of a pipeline that resize images."""

from typing import Any


def is_resizer(transform: Any) -> bool:
    """Return whether a step of a pipeline resizes images.

    The name of the class decides: it must contain ``Resize``. This is so for
    all steps of mmcv and mmpretrain that bring images of any size to one size,
    such as ``Resize``, ``ResizeEdge`` and ``RandomResizedCrop``.

    Args:
        transform (Callable | type | str): A step, its class, or the name of
            the class as a config has it.
    """
    if not isinstance(transform, (str, type)):
        transform = type(transform)
    name = transform if isinstance(transform, str) else transform.__name__
    return 'Resize' in name
