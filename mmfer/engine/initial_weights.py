"""Start the networks of a config from weights: ``--init NAME|FILE``.

:func:`start_from` changes a config in memory, as a user would do in its file: it sets
the ``init_cfg`` of backbones, necks and heads. So the check of pretrained weights
(:mod:`mmfer.models.pretrained`), GAAVE's base models and the stored config of the run
need to know nothing of ``--init``.
"""

import os.path as osp
import re
from typing import Any, Dict, Iterable, List, Optional, Tuple

from mmengine.config import Config, ConfigDict

from mmfer.models.feature_sizes import constructor_parameters, get_class
from mmfer.models.weight_matching import Match, match_part, shapes_of

from .preflight.facts import classes_of_config
from .weight_messages import as_call, describe_misfit, describe_start
from .weight_networks import (
    Network,
    backbone_of,
    build_networks,
    can_fit,
    needs_colour,
    network_names,
    owner_of,
    replace_backbones,
    set_init,
)
from .weight_sources import Source, find_source, hash_file

RECORD = 'initial_weights'
"""Key of a config that says from which weights its networks start."""

# Parts of a classifier after its backbone.
PARTS = ('neck', 'head')


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
    networks, replaced = fit_backbones(cfg, source)
    taken: List[str] = []
    new: Dict[str, str] = {}
    for network in networks:
        owner = owner_of(cfg, network.name)
        owner.pop('pretrained', None)
        owner.pop('init_cfg', None)
        set_init(owner, 'backbone', source.checkpoint, network.match.prefix)
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
            taken.append(part)
        elif reason:
            new[part] = reason
    changes = _set_preparation(cfg, source, list(options))
    cfg[RECORD] = dict(
        name=osp.basename(source.checkpoint.rstrip('/')),
        sha256=source.sha256,
        parts=['backbone', *taken],
    )
    return describe_start(source, networks, taken, new, replaced, changes)


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
    for name in network_names(cfg.model):
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
def fit_backbones(cfg: Config, source: Source) -> Tuple[List[Network], List[str]]:
    """Make the backbones of a config fit weights, or raise.

    Returns:
        tuple[list[Network], list[str]]: The networks, and what was changed for them.
    """
    changes: List[str] = []
    networks = build_networks(cfg, source)
    if source.is_network and not all(map(can_fit, networks)):
        before = type(networks[0].module.backbone).__name__
        replace_backbones(cfg, source)
        networks = build_networks(cfg, source)
        assert source.backbone is not None
        changes.append(
            f'the backbone of the config ({before}) is replaced by '
            f'{as_call(source.backbone)}'
        )
    if any(needs_colour(network) for network in networks):
        for network in networks:
            if needs_colour(network):
                backbone_of(cfg, network.name)['in_channels'] = 3
        networks = build_networks(cfg, source)
        changes.append('grey images are repeated to three channels')
    for network in networks:
        if not network.match.fits:
            raise ValueError(describe_misfit(cfg, source, network))
    return networks, changes


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
    if part == 'head':
        others = _other_classes(cfg, source)
        if others:
            return others
    settings = owner_of(cfg, networks[0].name).get(part) or {}
    if 'init_cfg' not in constructor_parameters(get_class(settings)):
        return 'it takes no init_cfg'
    for network, match in matches:
        owner_cfg = owner_of(cfg, network.name)
        set_init(owner_cfg, part, source.checkpoint, match.prefix)
    return None


def _other_classes(cfg: Config, source: Source) -> str:
    """Return a clause if weights are for other classes of the same number."""
    loader = cfg.get('train_dataloader')
    if source.classes is None or not loader:
        return ''
    classes = classes_of_config(loader.dataset)
    if classes is None or list(map(str, classes)) == source.classes:
        return ''
    return f'the weights are for the classes {", ".join(source.classes)}'


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
