"""Networks of a config, built to compare them with a file of weights."""

import copy
from typing import List, NamedTuple

import torch.nn as nn
from mmengine.config import Config, ConfigDict

from mmfer.models.feature_sizes import constructor_parameters
from mmfer.models.weight_matching import Match, find_backbone, shapes_of
from mmfer.registry import MODELS
from mmfer.utils.random import random_state_kept

from .weight_sources import Source

NETWORKS = ('network1', 'network2')


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


def build_networks(cfg: Config, source: Source) -> List[Network]:
    """Build the model of a config, and compare its backbones with weights."""
    settings = copy.deepcopy(dict(cfg.model))
    if settings.get('data_preprocessor') is None:
        settings['data_preprocessor'] = copy.deepcopy(cfg.get('data_preprocessor'))
    with random_state_kept():
        model = MODELS.build(settings)
    networks = []
    for name in network_names(cfg.model):
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


def network_names(model: dict) -> List[str]:
    """Return the names of the classifiers in a model; [''] for the model itself."""
    if 'network1' in model:
        return list(NETWORKS)
    return ['encoder'] if 'encoder' in model else ['']


def owner_of(cfg: Config, name: str) -> ConfigDict:
    """Return the settings of a network; those of ``network2`` may be new."""
    if not name:
        return cfg.model
    if cfg.model.get(name) is None:
        cfg.model[name] = ConfigDict()
    return cfg.model[name]


def backbone_of(cfg: Config, name: str) -> ConfigDict:
    """Return the settings of a backbone; those of ``network2`` may be new."""
    owner = owner_of(cfg, name)
    if owner.get('backbone') is None:
        owner.backbone = ConfigDict()
    return owner.backbone


def can_fit(network: Network) -> bool:
    return network.match.fits or needs_colour(network)


def needs_colour(network: Network) -> bool:
    """Return whether only the first convolution differs: 3 channels against 1."""
    module = network.module
    return (
        network.match.channels == (3, 1)
        # FERClassifier repeats grey images.
        and hasattr(module, 'fitting')
        and 'in_channels' in constructor_parameters(type(module.backbone))
    )


def replace_backbones(cfg: Config, source: Source) -> None:
    """Put the backbone of the weights into all networks."""
    assert source.backbone is not None
    for name in network_names(cfg.model):
        owner = owner_of(cfg, name)
        if name == 'network2':
            # It takes the backbone of the first network.
            owner.pop('backbone', None)
        else:
            owner.backbone = ConfigDict(copy.deepcopy(source.backbone))


def set_init(owner: ConfigDict, part: str, checkpoint: str, prefix: str) -> None:
    """Set the ``init_cfg`` of a part of a network."""
    if owner.get(part) is None:
        owner[part] = ConfigDict()
    settings = dict(type='Pretrained', checkpoint=checkpoint)
    if prefix:
        settings['prefix'] = prefix.rstrip('.')
    owner[part]['init_cfg'] = ConfigDict(settings)
