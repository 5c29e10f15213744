"""Fill in sizes that a config omits: channels, map size, number of classes."""

import inspect
from typing import Any, Optional, Set

import torch.nn as nn
from torch import Tensor

from mmfer.registry import MODELS

from .utils import as_map, has_channels_last, last_feature


def feature_channels(backbone: nn.Module, feats: Any, example: Tensor) -> Optional[int]:
    """Return the channels of the deepest feature if its layout is unusual.

    An MLP-Mixer returns (B, C, L), and timm's Swin (B, H, W, C).

    Args:
        backbone (nn.Module): Any backbone. Its ``embed_dims`` tells (B, C, L)
            from (B, L, C).
        feats (Tensor | Sequence): Output of the backbone.
        example (Tensor): Input of the backbone, (B, C, H, W).

    Returns:
        int, optional: None if :func:`as_map` recognises the layout without
        knowing the channels.
    """
    feature = last_feature(feats)
    if not isinstance(feature, Tensor) or feature.ndim < 3:
        return None
    usual = feature.shape[1 if feature.ndim == 4 else 2]
    unusual = feature.shape[-1 if feature.ndim == 4 else 1]
    if feature.ndim == 4:
        return unusual if has_channels_last(feature, example) else None
    widths = getattr(backbone, 'embed_dims', None)
    width = widths[-1] if isinstance(widths, (list, tuple)) else widths
    return unusual if width == unusual != usual else None


def fill_sizes(cfg: dict, feats: Any, channels: Optional[int] = None) -> dict:
    """Add ``in_channels`` and ``map_size`` to a config if its class takes them.

    Args:
        cfg (dict): Config of a neck or a head.
        feats (Tensor | Sequence): Input of the neck or head. If there are
            several tensors, the last one counts. They are the scales of a
            backbone, or the named tuple of a neck, whose tensors all have the
            same width.
        channels (int, optional): See :func:`as_map`.

    Returns:
        dict: A new config. Sizes that ``cfg`` states are kept.
    """
    feature = as_map(last_feature(feats), channels)
    sizes = dict(in_channels=feature.shape[1], map_size=tuple(feature.shape[2:]))
    missing = {
        name: size
        for name, size in sizes.items()
        if name not in cfg and accepts(cfg, name)
    }
    return dict(cfg, **missing)


def fill_num_classes(cfg: dict, data_preprocessor: nn.Module) -> dict:
    """Add ``num_classes`` of the data preprocessor to the config of a head.

    Returns:
        dict: A new config. A number that ``cfg`` states is kept.

    Raises:
        ValueError: The head takes ``num_classes``, but neither the head nor
            the data preprocessor states it.
    """
    cfg = dict(cfg)
    if accepts(cfg, 'num_classes') and 'num_classes' not in cfg:
        if getattr(data_preprocessor, 'num_classes', None) is None:
            raise ValueError(
                f'{cfg["type"]} needs num_classes: set it in '
                'data_preprocessor (base configs of data sets do so) or in '
                'the head.'
            )
        cfg['num_classes'] = data_preprocessor.num_classes
    return cfg


def accepts(cfg: dict, argument: str) -> bool:
    """Return whether the class that ``cfg`` names takes ``argument`` by name.

    A class that takes ``**kwargs`` passes them on to its base class, whose arguments
    then count, too.
    """
    for base in inspect.getmro(get_class(cfg)):
        if '__init__' not in vars(base):
            continue
        parameters = inspect.signature(base).parameters
        if argument in parameters:
            return True
        if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
            break
    return False


def constructor_parameters(cls: type) -> Set[str]:
    """Return the names of the arguments of a module class and its bases.

    Base classes are included, because subclasses of ResNet pass keyword
    arguments on to them.
    """
    return {
        name
        for base in inspect.getmro(cls)
        if issubclass(base, nn.Module) and base is not nn.Module
        for name in inspect.signature(base).parameters
    }


def get_class(cfg: dict) -> type:
    """Return the class that ``cfg`` names."""
    if inspect.isclass(cfg['type']):
        return cfg['type']
    cls = MODELS.get(cfg['type'])
    if cls is None:
        raise KeyError(
            f'{cfg["type"]!r} is not a model of mmfer, mmpretrain or '
            'mmengine; check the spelling.'
        )
    return cls
