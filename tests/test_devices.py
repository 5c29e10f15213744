"""Every method as a user runs it, on the best available device.

Minutes on a CPU; on a GPU ``pytest -m slow -n 6 tests/test_devices.py`` takes
one or two.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import CONFIGS, ROOT, assert_same_state, environment
from mmengine.config import Config

from mmfer.methods import METHODS

pytestmark = pytest.mark.slow
SMALL = [
    'train_dataloader.dataset.num_samples=384',
    'val_dataloader.dataset.num_samples=100',
    'test_dataloader.dataset.num_samples=100',
    'train_cfg.max_epochs=3',
    'default_hooks.checkpoint.max_keep_ckpts=-1',
    'randomness.deterministic=True',
]


def find_configs():
    """Return a config of each method on noisy drawn faces, with its options."""
    found = {}
    for method in METHODS:
        paths = Path(CONFIGS, method).glob(f'{method}_*_synthfaces_noise30.py')
        path = min(paths)
        cfg = Config.fromfile(path)
        options = []
        if 'network1' in cfg.model:
            options.append('model.noise_model.min_separation=None')
        if 'warmup_epochs' in cfg.train_cfg:
            options.append('train_cfg.warmup_epochs=1')
        for i, hook in enumerate(cfg.get('custom_hooks', [])):
            if hook.type == 'GAAVEHook':
                options += [f'custom_hooks.{i}.split=False', f'custom_hooks.{i}.tau=2']
        found[f'{method}/{path.stem}'] = options
    return found


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


RUNS = find_configs()


@pytest.mark.parametrize('config', RUNS)
def test_same_bits_and_mixed_precision(config, tmp_path):
    """Train twice, resume, and train with ``--amp``."""
    options = RUNS[config]
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
