"""DSU: latent compensation under plain cross-entropy."""

from unittest import mock

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import CONFIGS, tiny_config, train
from mmengine.config import Config

from mmfer.registry import MODELS


def test_equals_the_published_code():
    data = golden('dsu_forward')
    x, *noise = (data['inputs'][k] for k in ('x', 'noise_mean', 'noise_std'))
    x.requires_grad_()
    module = MODELS.build(
        dict(type='LatentCompensation', prob=1.0, eps=data['options']['eps'])
    )
    with mock.patch.object(module, 'draw_noise', return_value=tuple(noise)):
        y = module(x)
    (grad,) = torch.autograd.grad(y.square().sum(), x)
    assert_golden(y, data['outputs']['y'])
    assert_golden(grad, data['outputs']['grad_of_sum_of_squares'])


@pytest.mark.parametrize(
    'name, other',
    [
        ('dsu_r18_synthfaces_noise30', 'ce_r18_synthfaces_noise30'),
        ('dsu_r18_ferplus', 'ce_r18_ferplus'),
        ('dsu_r18_ferplus_noise30', 'ce_r18_ferplus_noise30'),
        ('dsu_r18_cifar10n', 'ce_r18_cifar10n'),
        ('dsu_r18_cifar100n', 'ce_r18_cifar100n'),
        ('dsu_r18imagenet_pacs', 'ce_r18imagenet_pacs'),
        ('dsu_r18imagenet_officehome', 'ce_r18imagenet_officehome'),
    ],
)
def test_only_the_compensation_differs_from_cross_entropy(name, other):
    cfg, plain = (
        Config.fromfile(f'{CONFIGS}/{path}.py')
        for path in (f'dsu/{name}', f'ce/{other}')
    )
    assert cfg.model.pop('latent_compensation') == dict(type='LatentCompensation')
    assert cfg.to_dict() == plain.to_dict()


def test_default_is_the_published_code():
    cfg = Config.fromfile(f'{CONFIGS}/dsu/dsu_r18imagenet_pacs.py')
    cfg.model.backbone.init_cfg = None
    cfg.data_preprocessor.input_shape = (3, 64, 64)
    cfg.model.data_preprocessor = cfg.data_preprocessor
    module = MODELS.build(cfg.model).latent_compensation
    assert module.layers == ['conv1', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4']
    assert module.prob == 0.5 and module.eps == 1e-6
    assert module.stats == 'instance' and module.unbiased
    assert not module.shared_noise


def test_trains(tmp_path):
    """To the score table, with the default noise score."""
    cfg = tiny_config(tmp_path, 'dsu/dsu_r18_synthfaces_noise30')
    train(cfg)
    header = (tmp_path / 'sample_scores.csv').read_text().splitlines()[0]
    assert 'noise_score' in header
