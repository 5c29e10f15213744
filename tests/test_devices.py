"""Every method as a user runs it, on the best available device.

Minutes on a CPU; on a GPU ``pytest -m slow -n 6 tests/test_devices.py`` takes
one or two.
"""

import json
import math
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, assert_same_state, environment

pytestmark = pytest.mark.slow
SMALL = [
    'train_dataloader.dataset.num_samples=384',
    'val_dataloader.dataset.num_samples=100',
    'test_dataloader.dataset.num_samples=100',
    'train_cfg.max_epochs=3',
    'default_hooks.checkpoint.max_keep_ckpts=-1',
    'randomness.deterministic=True',
]
CONFIGS = {
    'alum/alum_r18_synthfaces_noise30': [],
    'rul/rul_r18_synthfaces_noise30': [],
    'resup/resup_r18_synthfaces_noise30': ['model.noise_model.min_separation=None'],
    'coteaching/coteaching_r18_synthfaces_noise30': [
        'model.noise_model.min_separation=None'
    ],
    'jocor/jocor_r18_synthfaces_noise30': ['model.noise_model.min_separation=None'],
    'gaave/gaave_ce_r18_synthfaces_noise30': [
        'custom_hooks.0.split=False',
        'custom_hooks.0.tau=2',
    ],
    'jointgan/jointgan_vgg16_synthfaces_noise30': ['train_cfg.warmup_epochs=1'],
}


def run(config, work_dir, *arguments, options=()):
    done = subprocess.run(
        [
            sys.executable,
            'tools/train.py',
            f'configs/{config}.py',
            '--work-dir',
            str(work_dir),
            *map(str, arguments),
            '--cfg-options',
            *SMALL,
            *options,
        ],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def weights(work_dir):
    return torch.load(work_dir / 'epoch_3.pth', map_location='cpu')['state_dict']


@pytest.mark.parametrize('config', CONFIGS)
def test_same_bits_and_mixed_precision(config, tmp_path):
    """Train twice, resume, and train with ``--amp``."""
    options = CONFIGS[config]
    run(config, tmp_path / 'first', options=options)
    run(config, tmp_path / 'second', options=options)
    first = weights(tmp_path / 'first')
    assert_same_state(first, weights(tmp_path / 'second'))
    run(
        config,
        tmp_path / 'resumed',
        '--resume',
        tmp_path / 'first/epoch_1.pth',
        options=options,
    )
    assert_same_state(first, weights(tmp_path / 'resumed'))
    tables = [
        (tmp_path / name / 'sample_scores.csv').read_text()
        for name in ('first', 'second', 'resumed')
    ]
    assert tables[0] == tables[1] == tables[2]
    run(config, tmp_path / 'amp', '--amp', options=options)
    history = json.loads((tmp_path / 'amp/history.json').read_text())
    assert len(history) == 3
    assert all(math.isfinite(entry['train_loss']) for entry in history)
