"""Weights that have a name: those in the package, and those of ``[pretrained]``.

In a config, ``checkpoint='mmfer://NAME'`` stands for them, as ``torchvision://`` does
for those of torchvision. Such a config is the same on every machine.
"""

from pathlib import Path
from typing import Any, Dict, List

import torch
from mmengine.runner import CheckpointLoader

from .efficientnet_lite import load_pretrained_lite0

SCHEME = 'mmfer://'
"""Beginning of an address of named weights."""

LITE0 = 'efficientnet_lite0'
"""Name of the ImageNet weights of ``[pretrained]``."""

SHIPPED = Path(__file__).resolve().parents[1] / 'weights'
"""Folder of the weights that are part of the package."""


def shipped_names() -> List[str]:
    """Return the names of the models whose weights are part of the package."""
    return sorted(path.stem for path in SHIPPED.glob('*.pth'))


def named_file(name: str) -> Path:
    """Return the file of named weights.

    Args:
        name (str): Name with or without :data:`SCHEME`.

    Raises:
        KeyError: There are no weights of this name.
    """
    name = name.removeprefix(SCHEME)
    if name not in shipped_names():
        raise KeyError(name)
    return SHIPPED / f'{name}.pth'


# mmengine's log names the last word of this function.
@CheckpointLoader.register_scheme(prefixes=SCHEME)
def load_from_mmfer(
    filename: str, map_location: Any = None, logger: Any = 'current'
) -> Dict[str, Any]:
    """Load ``mmfer://NAME``, for mmengine's ``CheckpointLoader``.

    Args:
        filename (str): The address.
        map_location: See ``torch.load``.
        logger: Not used; mmengine passes it.

    Returns:
        dict: Checkpoint with the entry ``state_dict``.

    Raises:
        KeyError: There are no weights of this name.
        MissingExtraError: They need an extra that is not installed.
    """
    if filename.removeprefix(SCHEME) == LITE0:
        # The backbone has no layers for ImageNet's classes.
        parts = ('conv_stem.', 'bn1.', 'blocks.')
        weights = load_pretrained_lite0().items()
        return dict(
            state_dict={
                f'backbone.{name}': value
                for name, value in weights
                if name.startswith(parts)
            }
        )
    return torch.load(
        named_file(filename), map_location=map_location, weights_only=True
    )
