"""Config of a plain classifier, derived from the config of any method."""

import copy
from typing import Optional

from mmengine.config import Config, ConfigDict

from mmfer.models.pretrained import check_pretrained
from mmfer.registry import MODELS
from mmfer.utils.random import random_state_kept


def main_network(cfg: Config) -> ConfigDict:
    """Return the settings of the model, or of its first network."""
    name = main_network_name(cfg)
    return cfg.model if name is None else cfg.model[name]


def main_network_name(cfg: Config) -> Optional[str]:
    """Return the name of the first network; None if the model has only one."""
    return next((n for n in ('network1', 'encoder') if n in cfg.model), None)


def plain_optimizer(cfg: Config) -> dict:
    """Return the optimizer settings without those of other networks."""
    if 'encoder' not in cfg.model:
        return cfg.optim_wrapper
    return {
        key: value
        for key, value in cfg.optim_wrapper.items()
        if key not in ('constructor', 'generator', 'discriminator')
    }


def classifier_config(cfg: Config, num_classes: int) -> dict:
    """Return a plain classifier with the backbone of a training config.

    If the model has two networks, the backbone of the first one is used.

    Args:
        cfg (Config): Training config of any method.
        num_classes (int): Number of classes of the classifier.
    """
    model = main_network(cfg)
    preprocessor = dict(cfg.data_preprocessor, num_classes=num_classes)
    classifier = dict(
        type='FERClassifier',
        backbone=backbone_config(cfg),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
        channels_last=model.get('channels_last', False),
        # Batch augmentations such as Mixup, if the config has them.
        train_cfg=model.get('train_cfg', cfg.model.get('train_cfg')),
        data_preprocessor=preprocessor,
    )
    if model.get('partial_weights'):
        classifier['partial_weights'] = True
    return classifier


def backbone_config(cfg: Config) -> dict:
    """Return the backbone of a training config, with its initial weights.

    Initial weights of the whole classifier (``init_cfg`` or ``pretrained``)
    contain those of its backbone. In that case, the backbone reads its weights
    from the same file.
    """
    model, name = main_network(cfg), main_network_name(cfg)
    found = [(model, '')]
    if name is not None:
        found.append((cfg.model, f'{name}.'))
    backbone = model.backbone
    for owner, prefix in found:
        init_cfg = owner.get('init_cfg')
        if owner.get('pretrained'):
            init_cfg = dict(type='Pretrained', checkpoint=owner['pretrained'])
        if isinstance(init_cfg, dict) and init_cfg['type'] == 'Pretrained':
            outer = init_cfg.get('prefix')
            outer = f'{outer.rstrip(".")}.' if outer else ''
            backbone = dict(
                backbone, init_cfg=dict(init_cfg, prefix=f'{outer}{prefix}backbone')
            )
    return backbone


def check_classifier(cfg: Config) -> None:
    """Check that the files with the initial weights exist.

    Args:
        cfg (Config): Training config of any method.

    Raises:
        FileNotFoundError, ValueError: See :func:`check_pretrained`.
    """
    name = main_network_name(cfg)
    with random_state_kept():
        classifier = MODELS.build(classifier_config(cfg, 2))
    check_pretrained(classifier, 'model' if name is None else f'model.{name}')


def with_constant_lr(cfg: Config, factor: float, epochs: int) -> Config:
    """Return a config of the same run with a constant learning rate.

    Args:
        cfg (Config): Training config; it is not changed.
        factor (float): Factor on the initial learning rate.
        epochs (int): Number of epochs.
    """
    cfg = copy.deepcopy(cfg)
    cfg.optim_wrapper.optimizer.lr *= factor
    cfg.param_scheduler = None
    cfg.train_cfg.max_epochs = epochs
    return cfg
