"""Two processes over gloo: train, score, resume, and fit as one does."""

import csv
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from ddp_worker import fit, fit_a_part, scores
from helpers import ROOT, assert_same_state, environment, tiny_config, train

from mmfer.methods.gaave import models


def test_two_processes_fit_the_same_mixture_as_one(tmp_path):
    mp.spawn(fit_a_part, (2, str(tmp_path)), nprocs=2)
    order = np.random.default_rng(1).permutation(1001)
    fit(order, scores()[:, order], tmp_path / 'one.pth')
    one, first, second = (
        torch.load(tmp_path / f'{name}.pth') for name in ('one', 0, 1)
    )
    for k in range(2):
        assert_same_state(one[k], first[k])
        assert_same_state(one[k], second[k])


def launch(config, work_dir, *arguments):
    command = [
        sys.executable,
        '-m',
        'torch.distributed.run',
        '--standalone',
        '--nproc-per-node=2',
        f'{ROOT}/tools/train.py',
        config,
        '--launcher=pytorch',
        f'--work-dir={work_dir}',
        *arguments,
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(CUDA_VISIBLE_DEVICES=''),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(work_dir / 'epoch_3.pth')['state_dict']


@pytest.mark.parametrize(
    'name, options',
    [
        ('resup', dict(model__noise_model=dict(min_separation=None))),
        (
            'coteaching',
            dict(
                model__noise_model=dict(min_separation=None),
                model__noise_rate=None,
                model__score_source='pass',
            ),
        ),
        pytest.param('alum', {}, marks=pytest.mark.slow),
    ],
)
def test_train_score_and_resume(tmp_path, name, options):
    cfg = tiny_config(
        tmp_path,
        f'{name}/{name}_r18_synthfaces_noise30',
        train_dataloader__dataset__num_samples=95,
        train_dataloader__batch_size=16,
        default_hooks__checkpoint__max_keep_ckpts=-1,
        **options,
    )
    path = str(tmp_path / f'{name}.py')
    cfg.dump(path)
    whole = launch(path, tmp_path / 'whole')
    resumed = launch(
        path, tmp_path / 'resumed', f'--resume={tmp_path}/whole/epoch_1.pth'
    )
    assert_same_state(whole, resumed)
    tables = [
        (tmp_path / run / 'sample_scores.csv').read_text()
        for run in ('whole', 'resumed')
    ]
    assert tables[0] == tables[1]
    rows = list(csv.DictReader(tables[0].splitlines()))
    assert [int(row['sample_id']) for row in rows] == list(range(95))


def test_two_processes_judge_as_one(tmp_path, monkeypatch):
    """With the same models, the attack shared out gives the same decisions.

    The last batches have other sizes in one process and in two, so that
    probabilities agree up to float noise only.
    """
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces',
        train_cfg__max_epochs=6,
        train_dataloader__dataset__num_samples=191,
        train_dataloader__batch_size=4,
        optim_wrapper__optimizer__lr=5e-3,
        param_scheduler__milestones=[5],
        default_hooks__checkpoint__max_keep_ckpts=-1,
    )
    cfg.custom_hooks = [
        dict(
            type='GAAVEHook', split=False, fit='full', tau=2, attack=dict(epsilon=0.05)
        )
    ]
    path = str(tmp_path / 'gaave.py')
    cfg.dump(path)
    launch(path, tmp_path / 'two')
    results = sorted((tmp_path / 'two/cleaning').glob('*/result.npz'))
    assert len(results) == 2
    shutil.copytree(tmp_path / 'two/cleaning', tmp_path / 'one/cleaning')
    for result in (tmp_path / 'one/cleaning').glob('*/result.npz'):
        result.unlink()
    cfg.work_dir = str(tmp_path / 'one')
    # Models of two processes are others than those of one; take them over.
    monkeypatch.setattr(models, 'get_world_size', lambda: 2)
    # The two ran on CPUs.
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    train(cfg)
    for result in results:
        found = [
            np.load(tmp_path / run / result.relative_to(tmp_path / 'two'))
            for run in ('two', 'one')
        ]
        assert set(found[0].files) == set(found[1].files)
        for name in found[0].files:
            two, one = (arrays[name] for arrays in found)
            if two.dtype.kind == 'f':
                np.testing.assert_allclose(two, one, rtol=1e-5, atol=1e-9)
            else:
                np.testing.assert_array_equal(two, one)
    steps = np.load(results[-1])['attack_steps']
    assert len(steps) == 191 and len(set(steps.tolist())) > 4
