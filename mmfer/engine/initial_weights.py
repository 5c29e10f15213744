"""Start the networks of a config from weights: ``--init NAME|FILE``.

:func:`start_from` changes a config in memory, as a user would do in its file: it sets
the ``init_cfg`` of backbones, necks and heads. So the check of pretrained weights
(:mod:`mmfer.models.pretrained`), GAAVE's base models and the stored config of the run
need to know nothing of ``--init``.
"""

import copy
import os.path as osp
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

import torch.nn as nn
from mmengine.config import Config, ConfigDict

from mmfer.models.feature_sizes import constructor_parameters, get_class
from mmfer.models.weight_matching import Match, find_backbone, match_part, shapes_of
from mmfer.registry import MODELS
from mmfer.utils.checks import join_words
from mmfer.utils.random import random_state_kept

from .weight_sources import Source, find_source, hash_file

RECORD = 'initial_weights'
"""Key of a config that says from which weights its networks start."""

NETWORKS = ('network1', 'network2')
# Parts of a classifier after its backbone.
PARTS = ('neck', 'head')


class Network(NamedTuple):
    """A classifier of a config, as it is built.

    Attributes:
        name (str): ``network1``, ``network2`` or ``encoder``; empty for the model.
        module (nn.Module): The classifier.
        match (Match): Its backbone and the file.
    """

    name: str
    module: nn.Module
    match: Match

    @property
    def place(self) -> str:
        """str: Dotted path in the config."""
        return f'model.{self.name}' if self.name else 'model'


def init_suffix(text: str) -> str:
    """Return what ``--init`` adds to the name of a config, as ``from_pretrained``."""
    stem = osp.splitext(osp.basename(text.rstrip('/\\')))[0]
    return f'from_{re.sub(r"[^A-Za-z0-9-]+", "-", stem).strip("-") or "weights"}'


def start_from(cfg: Config, text: str, options: Iterable[str] = ()) -> str:
    """Let the networks of a config start from weights.

    - Backbones start from these weights as a whole, or the config is refused.
    - Necks and heads start from them if all their tensors fit. Otherwise they are
      new, for example for another number of classes.
    - A network file, such as that of ``pretrained``, replaces a backbone that it does
      not fit. A checkpoint of a model does not.
    - If the weights are for colour images and those of the config are grey, grey
      images are repeated three times. This is the same as the sum of the first
      convolution over its input channels.
    - Mean, standard deviation and order of the channels become those of the weights,
      if they are known.

    Args:
        cfg (Config): Training config, changed in place.
        text (str): See :func:`find_source`.
        options (Iterable[str]): Keys that the user sets. They are not changed.

    Returns:
        str: One line for the log.

    Raises:
        FileNotFoundError: There are no such weights.
        ValueError: They do not fit. The message says what would.
    """
    if cfg.get('load_from') and not cfg.get('resume'):
        raise ValueError(
            f'--init {text} and load_from={cfg.load_from!r} both name initial weights: '
            'omit one of them.'
        )
    source = find_source(text)
    networks, replaced = _fit_backbones(cfg, source)
    taken: Dict[str, List[str]] = {}
    new: Dict[str, str] = {}
    for network in networks:
        owner = _owner(cfg, network.name)
        owner.pop('pretrained', None)
        owner.pop('init_cfg', None)
        _set_init(owner, 'backbone', source.checkpoint, network.match.prefix)
    cfg.model.pop('pretrained', None)
    cfg.model.pop('init_cfg', None)
    for part in PARTS:
        # By chance, a head may have the shape of another one.
        other_neck = part == 'head' and (new or _has_other_neck(source, networks))
        reason = (
            'it would follow another neck'
            if other_neck
            else _take_part(cfg, source, networks, part)
        )
        if reason is None:
            taken[part] = []
        elif reason:
            new[part] = reason
    changes = _set_preparation(cfg, source, list(options))
    cfg[RECORD] = dict(
        name=osp.basename(source.checkpoint.rstrip('/')),
        sha256=source.sha256,
        parts=['backbone', *taken],
    )
    return _line(source, networks, list(taken), new, replaced, changes)


def check_recorded(cfg: Config) -> None:
    """Raise if a stored config names a file whose contents have changed since.

    Args:
        cfg (Config): Config of an earlier run with ``--init``.

    Raises:
        ValueError: The file has other contents.
    """
    recorded = (cfg.get(RECORD) or {}).get('sha256')
    if not recorded or cfg.get('resume'):
        return
    for name in _network_names(cfg.model):
        owner = (cfg.model.get(name) or {}) if name else cfg.model
        settings = (owner.get('backbone') or {}).get('init_cfg') or {}
        path = osp.expanduser(str(settings.get('checkpoint', '')))
        if osp.isfile(path) and hash_file(path) != recorded:
            raise ValueError(
                f'{path}: this file has changed since the config {cfg.filename} was '
                f'written (its SHA-256 was {recorded[:12]}...). To start from the new '
                f'file, use the original config with --init {path}.'
            )


# -- backbones ---------------------------------------------------------------------
def _fit_backbones(cfg: Config, source: Source) -> Tuple[List[Network], List[str]]:
    """Make the backbones of a config fit weights, or raise.

    Returns:
        tuple[list[Network], list[str]]: The networks, and what was changed for them.
    """
    changes: List[str] = []
    networks = _build_networks(cfg, source)
    if source.is_network and not all(map(_can_fit, networks)):
        before = type(networks[0].module.backbone).__name__
        _replace_backbones(cfg, source)
        networks = _build_networks(cfg, source)
        assert source.backbone is not None
        changes.append(
            f'the backbone of the config ({before}) is replaced by '
            f'{_call(source.backbone)}'
        )
    if any(_needs_colour(network) for network in networks):
        for network in networks:
            if _needs_colour(network):
                _backbone_of(cfg, network.name)['in_channels'] = 3
        networks = _build_networks(cfg, source)
        changes.append('grey images are repeated to three channels')
    for network in networks:
        if not network.match.fits:
            raise ValueError(_misfit(cfg, source, network))
    return networks, changes


def _build_networks(cfg: Config, source: Source) -> List[Network]:
    """Build the model of a config, and compare its backbones with weights."""
    settings = copy.deepcopy(dict(cfg.model))
    if settings.get('data_preprocessor') is None:
        settings['data_preprocessor'] = copy.deepcopy(cfg.get('data_preprocessor'))
    with random_state_kept():
        model = MODELS.build(settings)
    networks = []
    for name in _network_names(cfg.model):
        module = getattr(model, name) if name else model
        if not isinstance(getattr(module, 'backbone', None), nn.Module):
            raise ValueError(
                f'--init {source.given}: {type(module).__name__} has no backbone that '
                'could start from these weights. Load a checkpoint of the whole model '
                'with --cfg-options load_from=FILE'
            )
        # Each network of a checkpoint of two goes to its counterpart.
        preferred = [f'{name}.backbone.'] if name else ['backbone.']
        match = find_backbone(
            source.shapes, shapes_of(module.backbone.state_dict()), preferred
        )
        networks.append(Network(name, module, match))
    return networks


def _network_names(model: dict) -> List[str]:
    """Return the names of the classifiers in a model; [''] for the model itself."""
    if 'network1' in model:
        return list(NETWORKS)
    return ['encoder'] if 'encoder' in model else ['']


def _owner(cfg: Config, name: str) -> ConfigDict:
    """Return the settings of a network; those of ``network2`` may be new."""
    if not name:
        return cfg.model
    if cfg.model.get(name) is None:
        cfg.model[name] = ConfigDict()
    return cfg.model[name]


def _backbone_of(cfg: Config, name: str) -> ConfigDict:
    """Return the settings of a backbone; those of ``network2`` may be new."""
    owner = _owner(cfg, name)
    if owner.get('backbone') is None:
        owner.backbone = ConfigDict()
    return owner.backbone


def _can_fit(network: Network) -> bool:
    return network.match.fits or _needs_colour(network)


def _needs_colour(network: Network) -> bool:
    """Return whether only the first convolution differs: 3 channels against 1."""
    module = network.module
    return (
        network.match.channels == (3, 1)
        # FERClassifier repeats grey images.
        and hasattr(module, 'fitting')
        and 'in_channels' in constructor_parameters(type(module.backbone))
    )


def _replace_backbones(cfg: Config, source: Source) -> None:
    """Put the backbone of the weights into all networks."""
    assert source.backbone is not None
    for name in _network_names(cfg.model):
        owner = _owner(cfg, name)
        if name == 'network2':
            # It takes the backbone of the first network.
            owner.pop('backbone', None)
        else:
            owner.backbone = ConfigDict(copy.deepcopy(source.backbone))


def _set_init(owner: ConfigDict, part: str, checkpoint: str, prefix: str) -> None:
    """Set the ``init_cfg`` of a part of a network."""
    if owner.get(part) is None:
        owner[part] = ConfigDict()
    settings = dict(type='Pretrained', checkpoint=checkpoint)
    if prefix:
        settings['prefix'] = prefix.rstrip('.')
    owner[part]['init_cfg'] = ConfigDict(settings)


# -- necks and heads ---------------------------------------------------------------
def _take_part(
    cfg: Config, source: Source, networks: List[Network], part: str
) -> Optional[str]:
    """Let a neck or head start from weights if all of it fits in all networks.

    Returns:
        str, optional: None if it does; else why it is new, empty if the part has no
        weights.
    """
    matches: List[Tuple[Network, Match]] = []
    for network in networks:
        module = getattr(network.module, part, None)
        shapes = shapes_of(module.state_dict()) if module is not None else {}
        if not shapes:
            return ''
        owner = network.match.prefix.removesuffix('backbone.')
        if owner == network.match.prefix:
            return 'the weights are those of a backbone'
        match = match_part(source.shapes, shapes, f'{owner}{part}.')
        if not match.fits:
            return _why_new(module, match)
        matches.append((network, match))
    if part == 'head' and len({match.prefix for _, match in matches}) < len(matches):
        # Two networks with equal heads on equal backbones would never differ.
        return 'so that the two networks differ'
    settings = _owner(cfg, networks[0].name).get(part) or {}
    if 'init_cfg' not in constructor_parameters(get_class(settings)):
        return 'it takes no init_cfg'
    for network, match in matches:
        owner_cfg = _owner(cfg, network.name)
        _set_init(owner_cfg, part, source.checkpoint, match.prefix)
    return None


def _has_other_neck(source: Source, networks: List[Network]) -> bool:
    """Return whether the weights have a neck, and a network has none with weights."""
    for network in networks:
        prefix = f'{network.match.prefix.removesuffix("backbone.")}neck.'
        neck = getattr(network.module, 'neck', None)
        if not (neck is not None and neck.state_dict()) and any(
            name.startswith(prefix) for name in source.shapes
        ):
            return True
    return False


def _why_new(module: Any, match: Match) -> str:
    """Return why a neck or head does not start from weights."""
    classes = getattr(module, 'num_classes', None)
    for given, wanted in match.misfits.values():
        if wanted[:1] == (classes,) and given[1:] == wanted[1:]:
            return f'the weights have {given[0]} classes, the config {classes}'
    if match.misfits:
        return 'it has another shape'
    return 'it is not in the weights'


# -- images ------------------------------------------------------------------------
def _set_preparation(cfg: Config, source: Source, options: List[str]) -> List[str]:
    """Prepare images as for the weights; return what was changed."""
    wanted = source.preparation
    # A runner prefers the one inside of the model.
    holder = cfg.model if cfg.model.get('data_preprocessor') else cfg
    settings = holder.get('data_preprocessor')
    if settings is None:
        settings = holder['data_preprocessor'] = ConfigDict()
    channels = tuple(settings.get('input_shape', (3, 224, 224)))[0]
    given = {option.rpartition('.')[2] for option in options}
    changes = []
    mean, std = (
        _for_channels(wanted.mean, channels),
        _for_channels(wanted.std, channels),
    )
    if mean and not given & {'mean', 'std'}:
        before = [list(settings.get(key) or []) for key in ('mean', 'std')]
        if before != [mean, std]:
            if 'encoder' in cfg.model:
                changes.append(
                    'mean and std of the config are kept, because the decoder draws '
                    'images in [-1, 1]'
                )
            else:
                settings['mean'], settings['std'] = mean, std
                changes.append(
                    f'mean={mean} and std={std} of images are those of the weights'
                )
    if wanted.to_rgb is not None and channels == 3 and 'to_rgb' not in given:
        if bool(settings.get('to_rgb', False)) != wanted.to_rgb:
            settings['to_rgb'] = wanted.to_rgb
            changes.append(f'to_rgb={wanted.to_rgb}')
    return changes


def _for_channels(values: List[float], channels: int) -> List[float]:
    """Return a constant for each channel; that of grey images is the mean."""
    if not values or len(values) == channels:
        return values
    if channels == 1:
        return [sum(values) / len(values)]
    return values * channels if len(values) == 1 else []


# -- messages ----------------------------------------------------------------------
def _misfit(cfg: Config, source: Source, network: Network) -> str:
    """Return a message: why weights are refused, and what to do."""
    match = network.match
    backbone = type(network.module.backbone).__name__
    start = f'--init {source.given}: the weights do not fit {network.place}.backbone'
    if match.channels == (1, 3):
        return (
            f'{start} ({backbone}): they are for grey images, and those of the config '
            'have three channels. Load grey ones: color_type="grayscale" of '
            'LoadFERImage, and data_preprocessor.input_shape=(1, H, W).'
        )
    if match.channels is not None and match.channels[0] == 3:
        return (
            f'{start} ({backbone}): they are for images of 3 channels, and those of '
            f'the config have {match.channels[1]}. Load colour images: '
            'color_type="color" of LoadFERImage, and '
            'data_preprocessor.input_shape=(3, H, W).'
        )
    advice = (
        'Take weights of this network, or the backbone of the weights '
        '(model.backbone in the config that they were trained with).'
    )
    if source.backbone is not None:
        flags = ' '.join(_flags(cfg, source.backbone, network))
        advice = (
            f'The weights are those of {_call(source.backbone)}. To train this '
            f'network, add --cfg-options {flags}'
        )
    return (
        f'{start} ({backbone}): of its {match.total} tensors, {match.describe()}. '
        f'{advice}'
    )


def _flags(cfg: Config, backbone: dict, network: Network) -> List[str]:
    """Return the ``--cfg-options`` that put a backbone into all networks."""
    names = [n for n in _network_names(cfg.model) if n != 'network2']
    if 'network1' in cfg.model and (cfg.model.get('network2') or {}).get('backbone'):
        names.append('network2')
    flags = []
    for name in names:
        place = f'model.{name}.backbone' if name else 'model.backbone'
        before = _owner(cfg, name).backbone
        same = before.get('type') == backbone['type']
        if not same:
            flags.append(f'{place}._delete_=True')
        for key, value in backbone.items():
            if not same or before.get(key) != value:
                flags.append(f'{place}.{key}={value}'.replace(' ', ''))
    return flags


def _call(settings: dict) -> str:
    """Return a config as ``ResNet(depth=18)``."""
    inside = ', '.join(f'{k}={v!r}' for k, v in settings.items() if k != 'type')
    return f'{settings["type"]}({inside})' if inside else settings['type']


def _line(
    source: Source,
    networks: List[Network],
    taken: List[str],
    new: Dict[str, str],
    replaced: List[str],
    changes: List[str],
) -> str:
    """Return what ``--init`` did, in one line."""
    parts = ['backbone', *taken]
    match = networks[0].match
    whose = ' of the encoder' * bool(networks[0].name)
    if len(networks) == 2:
        whose = ' of both networks'
    verb = 'start' if len(parts) > 1 else 'starts'
    digest = f', SHA-256 {source.sha256[:12]}...' if source.sha256 else ''
    sentences = [
        f'the {join_words(parts, "and")}{whose} {verb} from {source.checkpoint} '
        f'({match.total} tensors of the backbone{digest})',
        *(f'the {part} is new ({reason})' for part, reason in new.items()),
    ]
    return f'--init {source.given}: {"; ".join(replaced + sentences + changes)}.'
