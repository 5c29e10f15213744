"""``--noise`` and ``--clean``: a config in, the config of a file that was."""

import functools
from pathlib import Path

import pytest
from helpers import CONFIGS
from mmengine.config import Config

from mmfer.engine.provenance import config_hash
from mmfer.engine.variants import (
    NOISE_TYPES,
    NoiseFlag,
    cleaning_options,
    derive,
    find_variant,
    parse_noise,
)
from mmfer.registry import TASK_UTILS


@functools.cache
def config(name):
    return Config.fromfile(f'{CONFIGS}/{name}.py')


def noise_of(cfg):
    return cfg.train_dataloader.dataset.label_noise


@pytest.mark.parametrize(
    'text, flag, name',
    [
        ('symmetric:0.3', NoiseFlag('symmetric', (0.3,)), 'noise30'),
        ('pair:.1:seed2', NoiseFlag('pair', (0.1,), 2), 'pair10seed2'),
        ('asymmetric:0.4:seed0', NoiseFlag('asymmetric', (0.4,), 0), 'asym40'),
        ('uniform:0', NoiseFlag('uniform', (0.0,)), 'uniform0'),
        ('symmetric:0.125', NoiseFlag('symmetric', (0.125,)), 'noise12.5'),
        ('classdep:.1,.5', NoiseFlag('classdep', (0.1, 0.5)), 'classdep10-50'),
        ('vote', NoiseFlag('vote', ()), 'vote'),
        ('vote:seed12', NoiseFlag('vote', (), 12), 'voteseed12'),
    ],
)
def test_flag_is_read(text, flag, name):
    assert parse_noise(text) == flag
    assert parse_noise(text).suffix == name


@pytest.mark.parametrize(
    'text, message',
    [
        ('symmetric', 'form cannot be read. Write TYPE:RATE'),
        ('symmetric:0.3:1', 'form cannot be read'),
        ('symmetric:seed1', 'form cannot be read'),
        ('vote:', 'vote noise has no rate.*--noise vote or vote:seedN'),
        ('vote:0.3:seed1', 'vote noise has no rate'),
        ('symmetric:0.3:seed-1', 'form cannot be read'),
        ('wrong:0.3', "no noise type 'wrong'. Choose from symmetric, uniform"),
        ('symmetric:much', "'much' is not a number"),
        ('symmetric:', 'the rate is missing'),
        ('symmetric:0,3', 'one rate, but 2 are given.*decimals with a point'),
        ('symmetric:30', r'rate 30 is not in \[0, 1\).*write symmetric:0.3'),
        ('pair:1', 'rate 1 is not in'),
        ('pair:-.1', 'rate -0.1 is not in'),
        ('pair:nan', 'rate nan is not in'),
        ('pair:0.1_5', "'0.1_5' is not a number"),
        ('pair:\uff10.3', 'is not a number'),
        ('pair:0.1:seed' + '9' * 30, 'form cannot be read'),
        ('pair:0.1,0.2', 'has one rate'),
    ],
)
def test_wrong_flags_are_refused(text, message):
    with pytest.raises(ValueError, match=f'--noise {text}.*{message}'):
        parse_noise(text)


RATED = [kind for kind, noise in NOISE_TYPES.items() if noise.share]


@pytest.mark.parametrize('kind', RATED)
def test_every_type_can_be_built(kind):
    rates = ','.join(['0.2'] * 10) if kind == 'classdep' else '0.2'
    cfg = derive(config('ce/ce_cnn7_cifar10'), f'{kind}:{rates}:seed3', None)
    noise = TASK_UTILS.build(noise_of(cfg))
    assert noise.seed == 3
    labels = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 50
    assert 0.02 < (noise(labels, 10) != labels).mean() < 0.3


def test_votes_of_ferplus():
    cfg = derive(config('ce/ce_r18_ferplus_noise30'), 'vote:seed3', None)
    assert noise_of(cfg) == dict(type='VoteNoise', seed=3)
    assert Path(cfg.filename).stem == 'ce_r18_ferplus_voteseed3'
    with pytest.raises(ValueError, match='votes of annotators, which NoisyCIFAR10'):
        derive(config('ce/ce_cnn7_cifar10'), 'vote', None)
    # These methods are told the noise rate, unless they estimate it.
    with pytest.raises(ValueError, match='told the noise rate.*noise_rate=None'):
        derive(config('jocor/jocor_r18_ferplus_noise30'), 'vote', None)
    derive(config('jocor/jocor_r18_ferplus_noise30_estimated'), 'vote', None)


def same(cfg, other, name):
    """Both are one training: settings, hash and name."""
    assert cfg.to_dict() == other.to_dict()
    assert config_hash(cfg) == config_hash(other)
    assert Path(cfg.filename).stem == name


@pytest.mark.parametrize('host', ['ce', 'rul', 'alum', 'resup', 'coteaching', 'jocor'])
def test_noise_gives_what_the_file_gives(host):
    """Of the leaves that have stayed, those of ``--noise`` alone."""
    name = f'{host}/{host}_r18_synthfaces'
    given = config(name)
    before = given.to_dict()
    cfg = derive(given, 'symmetric:0.3', None)
    same(cfg, config(f'{name}_noise30'), f'{host}_r18_synthfaces_noise30')
    # The config that was given is not changed.
    assert given.to_dict() == before and given.filename.endswith('synthfaces.py')


@pytest.mark.parametrize(
    'base, noise, leaf',
    [
        ('resup/resup_r18_synthfaces', 'symmetric:.3', 'gaave_resup_r18_synthfaces'),
        ('ce/ce_r18_ferplus', 'symmetric:.3', 'gaave_ce_r18_ferplus'),
        ('ce/ce_r18_ferplus_noise30', None, 'gaave_ce_r18_ferplus'),
    ],
)
def test_cleaning_gives_what_the_file_gives(base, noise, leaf):
    cfg = derive(config(base), noise, 'gaave')
    same(cfg, config(f'gaave/{leaf}_noise30'), f'{leaf}_noise30')


PLANTED = 'train_dataloader = dict(dataset=dict(label_noise=dict({})))\n'
CIFAR10 = (
    "type='AsymmetricNoise', rate=0.4, "
    'mapping=[(9, 1), (2, 0), (3, 5), (5, 3), (4, 7)], seed=0'
)
# Files that the flags have replaced: base and further lines of each.
REMOVED = {
    'alum_r50_rafdb_noise10': (
        ['alum/alum_r50_rafdb'],
        PLANTED.format("type='SymmetricNoise', rate=0.1, seed=0"),
    ),
    'ce_cnn7_cifar10_asym40': (['ce/ce_cnn7_cifar10'], PLANTED.format(CIFAR10)),
    'coteaching_cnn7_cifar10_asym40': (
        ['coteaching/coteaching_cnn7_cifar10'],
        PLANTED.format(CIFAR10) + 'model = dict(noise_rate=0.2)',
    ),
    'jocor_cnn7_cifar10_noise50': (
        ['jocor/jocor_cnn7_cifar10'],
        PLANTED.format("type='SymmetricNoise', rate=0.5, seed=0")
        + 'model = dict(noise_rate=0.5)',
    ),
    'gaave_alum_r18_rafdb': (
        ['alum/alum_r18_rafdb'],
        "custom_hooks = [dict(type='GAAVEHook')]",
    ),
    'gaave_ce_r18_cifar10lt50_pair10': (
        ['ce/ce_r18_cifar10lt50', '_base_/cleaning/cifar10'],
        PLANTED.format("type='PairNoise', rate=0.1, seed=0")
        + 'custom_hooks = [_base_.cleaning]',
    ),
    'gaave_resup_r18_ferplus_noise30': (
        ['resup/resup_r18_ferplus_noise30', '_base_/cleaning/ferplus_open'],
        'custom_hooks = _base_.custom_hooks + [_base_.cleaning]',
    ),
}


@pytest.mark.parametrize('name', REMOVED)
def test_line_that_replaces_a_file_is_the_same_run(name, tmp_path):
    bases, text = REMOVED[name]
    file = tmp_path / f'{name}.py'
    file.write_text(f'_base_ = {[f"{CONFIGS}/{base}.py" for base in bases]}\n{text}\n')
    base, words = find_variant(f'{CONFIGS}/{name.partition("_")[0]}/{name}.py')
    flags = dict(zip(words[::2], words[1::2], strict=True))
    cfg = derive(Config.fromfile(base), flags.get('--noise'), flags.get('--clean'))
    same(cfg, Config.fromfile(file), name)


@pytest.mark.parametrize(
    'name, line',
    [
        ('ce/ce_r18_rafdb_noise20', 'ce/ce_r18_rafdb.py --noise symmetric:0.2'),
        (
            'gaave/gaave_ce_r18_cifar10lt50_pair30',
            'ce/ce_r18_cifar10lt50.py --noise pair:0.3 --clean gaave',
        ),
        # A file with this noise is there.
        (
            'gaave/gaave_alum_r18_rafdb_noise30',
            'alum/alum_r18_rafdb_noise30.py --clean gaave',
        ),
        (
            'resup/resup_cnn7_cifar10_asym40seed2',
            'resup/resup_cnn7_cifar10.py --noise asymmetric:0.4:seed2',
        ),
        ('resup/resup_r18_ferplus_vote', 'resup/resup_r18_ferplus.py --noise vote'),
        (
            'gaave/gaave_ce_r18_ferplus_voteseed2',
            'ce/ce_r18_ferplus.py --noise vote:seed2 --clean gaave',
        ),
        ('ce/ce_r18_nothing_noise20', None),
        ('ce/none', None),
        ('gaave/gaave_none', None),
    ],
)
def test_flags_of_a_name(name, line):
    found = find_variant(f'{CONFIGS}/{name}.py')
    if line is None:
        assert found is None
    else:
        base, flags = found
        assert ' '.join([base, *flags]) == f'{CONFIGS}/{line}'


def test_noise_of_the_config_is_replaced():
    cfg = derive(config('alum/alum_r18_rafdb_noise30'), 'symmetric:0.2', None)
    same(
        cfg,
        derive(config('alum/alum_r18_rafdb'), 'symmetric:0.2', None),
        'alum_r18_rafdb_noise20',
    )
    cfg = derive(config('ce/ce_r18_ferplus_noise30_onecycle'), 'pair:0.1', None)
    assert noise_of(cfg) == dict(type='PairNoise', rate=0.1, seed=0)
    assert Path(cfg.filename).stem == 'ce_r18_ferplus_pair10_onecycle'
    # Of one type: all but the rate stays, the seed too.
    published = config('ce/ce_vgg16_cifar10_uniform20')
    cfg = derive(published, 'bernoulli_uniform:0.3', None)
    assert noise_of(cfg) == dict(noise_of(published), rate=0.3)
    assert noise_of(derive(published, 'bernoulli_uniform:0.3:seed1', None)).seed == 1


@pytest.mark.parametrize(
    'noise, told',
    [
        ('symmetric:0.4', 0.4),
        ('pair:0.4', 0.4),
        ('asymmetric:0.4', 0.2),
        ('uniform:0.4', 0.36),
        ('bernoulli_symmetric:0.4', 0.4),
        ('bernoulli_uniform:0.4', 0.36),
        ('classdep:0.5,0.3,0,0,0,0,0,0,0,0.2', 0.1),
    ],
)
def test_methods_are_told_the_rate(noise, told):
    for method in ('coteaching', 'jocor'):
        cfg = derive(config(f'{method}/{method}_cnn7_cifar10'), noise, None)
        assert cfg.model.noise_rate == pytest.approx(told)
    for method in ('ce', 'resup'):
        cfg = derive(config(f'{method}/{method}_cnn7_cifar10'), noise, None)
        assert 'noise_rate' not in cfg.model


def test_a_rate_to_be_estimated_is_not_told():
    name = 'jocor/jocor_r18_ferplus_noise30_estimated'
    cfg = derive(config(name), 'symmetric:0.2', None)
    assert cfg.model.noise_rate is None
    assert Path(cfg.filename).stem == 'jocor_r18_ferplus_noise20_estimated'


@pytest.mark.parametrize(
    'name, noise, clean, message',
    [
        ('ce/ce_vgg16_cifar10_multinoise', 'pair:.1', None, 'several annotators'),
        (
            'ce/ce_vgg16_cifar10_multinoise_majority',
            'pair:.1',
            None,
            'several annotators',
        ),
        ('ce/ce_vgg16_rafbase', 'pair:.1', None, 'reads noisy labels from'),
        ('ce/ce_r18_rafdb', 'asymmetric:.1', None, 'not for RAFDB. Use pair noise'),
        ('ce/ce_r18_rafdb', 'classdep:.1,.2', None, '7 classes.*given rates is 2'),
        ('gaave/gaave_ce_r18_ferplus', None, 'gaave', 'already has a GAAVEHook'),
    ],
)
def test_what_does_not_fit_is_refused(name, noise, clean, message):
    with pytest.raises(ValueError, match=message):
        derive(config(name), noise, clean)


def test_wrapped_training_sets():
    cfg = config('ce/ce_r18_rafdb')
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=inner)
    noisy = derive(cfg, 'pair:.1', None).train_dataloader.dataset.dataset
    assert noisy.label_noise.type == 'PairNoise'
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, inner])
    with pytest.raises(ValueError, match='ConcatDataset of several'):
        derive(cfg, 'pair:.1', None)


def test_cleaning_options_belong_to_the_data_set(tmp_path):
    mine = tmp_path / 'mine.py'
    mine.write_text(f'_base_ = {CONFIGS + "/ce/ce_cnn7_cifar10.py"!r}\n')
    assert cleaning_options(str(mine)) == dict(type='GAAVEHook', fit='full')
    assert cleaning_options(f'{CONFIGS}/alum/alum_tiny_ferplus.py').patience == 5
    assert cleaning_options(f'{CONFIGS}/ce/ce_r18_rafdb.py') is None
    mine.write_text('model = dict()\n')
    assert cleaning_options(str(mine)) is None
