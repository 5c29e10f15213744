"""Recipes of RUL: schedules, relabelling, incomplete batches, splits."""

from pathlib import Path

import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config

from mmfer.registry import HOOKS, PARAM_SCHEDULERS


def recipe(name):
    return Config.fromfile(f'{CONFIGS}/rul/rul_r18_{name}.py')


def learning_rates(cfg):
    """Rate of each epoch, as the scheduler of mmengine sets it."""
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=cfg.optim_wrapper.optimizer.lr)
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler, optimizer=optimizer))
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize('name', ['fer2013', 'cifar10', 'cifar100'])
def test_recipe_without_pretraining(name):
    cfg = recipe(name)
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4
    )
    assert cfg.train_dataloader.batch_size == 128
    rates = learning_rates(cfg)
    assert len(rates) == 250
    for epoch, rate in enumerate(rates):
        steps = 0 if epoch < 80 else (epoch - 80) // 5 + 1
        assert rate == pytest.approx(0.01 * 0.9**steps)
    assert 'init_cfg' not in cfg.model.backbone


@pytest.mark.parametrize(
    'name, epochs, start',
    [('mnist', 35, 10), ('cifar10', 250, 100), ('cifar100', 250, 100)],
)
def test_recipes_with_relabelling(name, epochs, start):
    cfg = recipe(name)
    assert cfg.train_cfg.max_epochs == epochs
    (hook,) = cfg.custom_hooks
    built = HOOKS.build(hook)
    assert (built.start_epoch, built.fraction, built.threshold, built.interval) == (
        start,
        0.5,
        0.2,
        1,
    )


@pytest.mark.parametrize('name', ['rafdb', 'mnist', 'cifar10', 'cifar100', 'fer2013'])
def test_last_incomplete_batch_is_kept(name):
    """As in the code; the open protocol and the drawn faces are not RUL's settings."""
    assert recipe(name).train_dataloader.drop_last is False


def test_alum_on_rafdb_follows_the_code_of_rul():
    for path in Path(CONFIGS).glob('alum/*_rafdb*.py'):
        assert Config.fromfile(path).train_dataloader.drop_last is False, path


def test_fer2013_uses_the_private_images_for_the_test_only():
    cfg = recipe('fer2013')
    splits = [cfg[f'{k}_dataloader'].dataset.split for k in ('train', 'val', 'test')]
    assert splits == ['train', 'valid', 'test']
    assert cfg.tta_model == dict(type='AverageUncertaintyTTA', average='logits')
