"""A given option wins over the preset of each system, and the log says so once."""

from types import SimpleNamespace

import pytest
from helpers import ROOT
from mmengine.config import Config

from mmfer.registry import HOOKS, MODELS
from mmfer.utils import presets


def gan(**options):
    cfg = Config.fromfile(f'{ROOT}/configs/jointgan/jointgan_vgg16_synthfaces.py')
    cfg.merge_from_dict(dict(model=options))
    return MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))


def resup(**options):
    cfg = Config.fromfile(f'{ROOT}/configs/resup/resup_r18_synthfaces.py')
    cfg.merge_from_dict(dict(model=options))
    return MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))


SYSTEMS = dict(
    ALUMHead=lambda **o: MODELS.build(
        dict(type='ALUMHead', num_classes=7, in_channels=8, **o)
    ),
    DULHead=lambda **o: MODELS.build(
        dict(type='DULHead', num_classes=7, in_channels=8, **o)
    ),
    LTNetHead=lambda **o: MODELS.build(
        dict(type='LTNetHead', num_classes=7, in_channels=8, **o)
    ),
    LatentCompensation=lambda **o: MODELS.build(dict(type='LatentCompensation', **o)),
    UncertaintyNeck=lambda **o: MODELS.build(
        dict(type='UncertaintyNeck', in_channels=8, map_size=(2, 2), **o)
    ),
    ReSup=resup,
    JointGAN=gan,
    GAAVE=lambda **o: HOOKS.build(dict(type='GAAVEHook', **o)),
)
CASES = [
    ('ALUMHead', 'paper', dict(triplet_reduction='mean'), "'mean' instead of 'sum'"),
    ('DULHead', 'official', dict(kl_reduction='sum'), "'sum' instead of 'mean'"),
    ('DULHead', 'paper', dict(uncertainty='geometric'), "instead of 'harmonic'"),
    ('LTNetHead', 'official', dict(double_softmax=False), 'False instead of True'),
    ('LTNetHead', 'paper', dict(projection='softmax'), "instead of 'in_place'"),
    ('LatentCompensation', 'paper', dict(prob=0.5), 'prob=0.5 instead of 1.0'),
    # False and None are values that are given, too.
    ('LatentCompensation', 'paper', dict(shared_noise=False), 'False instead of True'),
    ('UncertaintyNeck', 'paper', dict(out_channels=64), '=64 instead of 32'),
    ('UncertaintyNeck', 'official', dict(out_channels=8), '=8 instead of 64'),
    ('ReSup', 'paper', dict(reduction='mean'), "reduction='mean' instead of 'sum'"),
    (
        'ReSup',
        'official',
        dict(noise_model=dict(min_separation=0.1)),
        'noise_model.min_separation=0.1 instead of None',
    ),
    (
        'JointGAN',
        'paper',
        dict(order='official'),
        "order='official' instead of 'paper'",
    ),
    (
        'JointGAN',
        'official',
        dict(encoder=dict(head=dict(ccc='default'))),
        "encoder.head.ccc='default' instead of 'official'",
    ),
    ('GAAVE', 'paper', dict(fit='peak'), "fit='peak' instead of 'full'"),
    ('GAAVE', 'paper', dict(recross=False, updates=0), 'updates=0 instead of 5'),
]


@pytest.mark.parametrize('system, preset, options, said', CASES)
def test_a_given_option_wins(system, preset, options, said, monkeypatch):
    lines = []
    logger = SimpleNamespace(warning=lines.append)
    monkeypatch.setattr(
        presets, 'MMLogger', SimpleNamespace(get_current_instance=lambda: logger)
    )
    SYSTEMS[system](preset=preset, **options)
    (line,) = lines
    assert line.startswith(f'{system}: preset={preset!r} is changed') and said in line


@pytest.mark.parametrize('system', SYSTEMS)
def test_an_unknown_preset(system):
    with pytest.raises(ValueError, match=f"{system}: preset must be 'default'.*'papr'"):
        SYSTEMS[system](preset='papr')
