"""Two processes over gloo: train, score, resume, and fit as one does."""
import csv
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from ddp_worker import fit, fit_a_part, scores
from helpers import ROOT, assert_same_state, tiny_config


def test_two_processes_fit_the_same_mixture_as_one(tmp_path):
    mp.spawn(fit_a_part, (2, str(tmp_path)), nprocs=2)
    order = np.random.default_rng(1).permutation(1001)
    fit(order, scores()[:, order], tmp_path / 'one.pth')
    one, first, second = (
        torch.load(tmp_path / f'{name}.pth') for name in ('one', 0, 1))
    for k in range(2):
        assert_same_state(one[k], first[k])
        assert_same_state(one[k], second[k])


def launch(config, work_dir, *arguments):
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone',
        '--nproc-per-node=2', f'{ROOT}/tools/train.py', config,
        '--launcher=pytorch', f'--work-dir={work_dir}', *arguments
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(work_dir / 'epoch_3.pth')['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('name, options', [
    ('resup', dict(model__noise_model=dict(min_separation=None))),
    ('coteaching', dict(model__noise_model=dict(min_separation=None),
                        model__score_source='pass')),
    ('alum', {}),
])
def test_train_score_and_resume(tmp_path, name, options):
    cfg = tiny_config(
        tmp_path, f'{name}/{name}_r18_synthfaces_noise30',
        train_dataloader__dataset__num_samples=95,
        train_dataloader__batch_size=16,
        default_hooks__checkpoint__max_keep_ckpts=-1, **options)
    path = str(tmp_path / f'{name}.py')
    cfg.dump(path)
    whole = launch(path, tmp_path / 'whole')
    resumed = launch(path, tmp_path / 'resumed',
                     f'--resume={tmp_path}/whole/epoch_1.pth')
    assert_same_state(whole, resumed)
    tables = [(tmp_path / run / 'sample_scores.csv').read_text()
              for run in ('whole', 'resumed')]
    assert tables[0] == tables[1]
    rows = list(csv.DictReader(tables[0].splitlines()))
    assert [int(row['sample_id']) for row in rows] == list(range(95))
