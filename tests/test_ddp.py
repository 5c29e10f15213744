"""Two processes over gloo: train, score, resume, and fit as one does."""

import argparse
import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
from ddp_worker import (
    check_gathering,
    double_precision,
    fit,
    run_in_two,
    run_two,
    scores,
)
from helpers import (
    CONFIGS,
    STEPS,
    Stop,
    StopAt,
    assert_same_state,
    made_once,
    shorten_schedules,
    tiny_config,
    train,
)
from mmengine.config import Config
from mmengine.dist import init_dist

from mmfer.cli import load_config
from mmfer.engine.stages import CHECK
from mmfer.methods import METHODS
from mmfer.methods.gaave import subset_training
from mmfer.registry import MODELS


def gaave_config(folder):
    """GAAVE before cross-entropy, on a set that it can learn."""
    cfg = tiny_config(
        folder,
        'ce/ce_r18_synthfaces',
        train_cfg__max_epochs=6,
        train_dataloader__dataset__num_samples=191,
        train_dataloader__batch_size=4,
        optim_wrapper__optimizer__lr=5e-3,
        param_scheduler__milestones=[5],
        default_hooks__checkpoint__max_keep_ckpts=-1,
    )
    cfg.custom_hooks = [
        {
            **STEPS,
            'type': 'GAAVEHook',
            'split': False,
            'fit': 'full',
            'tau': 2,
            'attack': dict(epsilon=0.05),
        }
    ]
    return cfg


def gaave_default_config(folder):
    """GAAVE's default: probabilities of wrong labels, and the scan as evidence."""
    cfg = tiny_config(
        folder,
        'ce/ce_r18_synthfaces_noise30',
        train_cfg__max_epochs=1,
        train_dataloader__dataset__num_samples=600,
        train_dataloader__batch_size=16,
        optim_wrapper__optimizer__lr=5e-3,
    )
    cfg.custom_hooks = [
        dict(
            type='GAAVEHook',
            held_out=0.5,
            attack=dict(steps=2),
            evidence=dict(encoder='hog'),
            base=dict(train_cfg=dict(max_epochs=2)),
        )
    ]
    return cfg


def plain_config(folder, name):
    """A method of one or two networks; each batch has two uneven shares."""
    cfg = tiny_config(
        folder,
        f'{name}/{name}_r18_synthfaces_noise30',
        train_dataloader__dataset__num_samples=95,
        train_dataloader__batch_size=16,
        default_hooks__checkpoint__max_keep_ckpts=-1,
        # The second of three batches in the second epoch.
        default_hooks__checkpoint__save_iters=5,
    )
    if name != 'alum':
        cfg.model.noise_model = dict(min_separation=None)
    if name == 'coteaching':
        cfg.model.update(noise_rate=None, score_source='pass')
    return cfg


def joint_gan_config(folder):
    """One epoch of warm-up and one of the game, with averaged weights."""
    cfg = Config.fromfile(f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces_noise30.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(folder),
            'model.encoder.backbone.base_channels': 4,
            'model.encoder.head.hidden_dim': 16,
            'model.decoder.base_channels': 4,
            'model.discriminator.base_channels': 4,
            'model.latent_dim': 5,
            'train_cfg.max_epochs': 2,
            'train_cfg.warmup_epochs': 1,
            'train_dataloader.dataset.num_samples': 63,
            'train_dataloader.batch_size': 16,
            'val_dataloader.dataset.num_samples': 50,
            'optim_wrapper.dtype': 'float32',
            'default_hooks.checkpoint.max_keep_ckpts': -1,
            'custom_hooks': [dict(type='EMAHook', momentum=0.5)],
        }
    )
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='default_collate')
    return cfg


# One process and two must give the same weights. These options bring in everything
# that couples the images of a batch, and switch off dropout.
OPTIONS = dict(
    dmue=dict(model__head__dropout=0.0),
    dul=dict(model__neck__dropout=0.0),
    gce=dict(
        model__head__truncate_from=1,
        model__head__refresh_interval=1,
        model__head__k=1 / 7,
    ),
    rul=dict(model__neck__dropout=0.0, model__head__num_images=3),
    alum=dict(
        model__neck__dropout=0.0,
        model__head__mine_ratio=0.5,
        model__head__triplet_weight=0.1,
        model__latent_compensation=dict(type='LatentCompensation', stats='batch'),
    ),
    resup=dict(model__noise_model=dict(min_separation=None), model__reduction='sum'),
    coteaching=dict(model__noise_rate=0.3, model__ramp_epochs=2),
    jocor=dict(model__noise_rate=0.3, model__ramp_epochs=2),
    dividemix=dict(model__preset='official', model__threshold=0.3),
    scn=dict(model__head__relabel_threshold=0.0, model__head__relabel_group='low'),
)
SAME = [
    name
    for name in METHODS
    if os.path.isfile(f'{CONFIGS}/{name}/{name}_r18_synthfaces_noise30.py')
]


def same_weights_config(folder, name, processes):
    """Two epochs of the same global batches in any number of processes."""
    if name == 'jointgan':
        cfg = joint_gan_config(folder)
        cfg.model.encoder.head.dropout = 0.0
        cfg.model.mismatch_weight = 1.0
        # The networks run again, without gradients, after their update.
        cfg.model.order = 'paper'
        cfg.model.label_form = 'probabilities'
        cfg.custom_hooks = []
        cfg.train_dataloader.dataset.num_samples = 64
        cfg.experiment_name = f'same_{processes}'
    else:
        cfg = tiny_config(
            folder,
            f'{name}/{name}_r18_synthfaces_noise30',
            train_dataloader__dataset__num_samples=64,
            train_cfg__max_epochs=2,
            param_scheduler__milestones=[1],
            **OPTIONS.get(name, {}),
        )
        shorten_schedules(cfg)
    cfg.train_dataloader.batch_size = 16 // processes
    # Two processes do not get equal shares of 49 samples.
    cfg.val_dataloader.dataset.num_samples = 49
    cfg.val_dataloader.batch_size = 25
    return cfg


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Work dirs of all trainings in two processes, by name."""
    return made_once(tmp_path_factory, 'two_processes', train_in_two)


def train_in_two(folder):
    """Train all configs in one pair of processes."""
    lines = []
    for name in ('resup', 'coteaching', 'alum'):
        config = str(folder / f'{name}.py')
        plain_config(folder, name).dump(config)
        lines.append([config, f'--work-dir={folder}/{name}'])
        lines.append(
            [
                config,
                f'--work-dir={folder}/{name}_resumed',
                f'--resume={folder}/{name}/iter_5.pth',
            ]
        )
    joint_gan_config(folder).dump(str(folder / 'gan.py'))
    gan = str(folder / 'gan.py')
    lines.append([gan, f'--work-dir={folder}/gan'])
    lines.append(
        [gan, f'--work-dir={folder}/gan_resumed', f'--resume={folder}/gan/epoch_1.pth']
    )
    gaave_config(folder).dump(str(folder / 'gaave.py'))
    lines.append([str(folder / 'gaave.py'), f'--work-dir={folder}/gaave'])
    gaave_default_config(folder).dump(str(folder / 'gaave_default.py'))
    lines.append([str(folder / 'gaave_default.py'), f'--work-dir={folder}/default'])
    exact = []
    for name in (*SAME, 'jointgan'):
        config = str(folder / f'same_{name}.py')
        same_weights_config(folder, name, 2).dump(config)
        exact.append([config, f'--work-dir={folder}/same_{name}'])
    run_in_two(folder, lines, exact)


@pytest.mark.parametrize('name', [*SAME, 'jointgan'])
def test_two_processes_give_the_weights_of_one(folder, tmp_path, name):
    """Weights, metrics and scores, up to the rounding of float64.

    Dropout is off, because each process draws its own masks.
    """
    two = folder / f'same_{name}'
    with double_precision():
        train(same_weights_config(tmp_path, name, 1))
    weights = [torch.load(run / 'epoch_2.pth')['state_dict'] for run in (two, tmp_path)]
    assert weights[0].keys() == weights[1].keys()
    for key, value in weights[1].items():
        torch.testing.assert_close(weights[0][key], value, rtol=1e-9, atol=1e-9)
    kept = [
        torch.load(run / 'epoch_2.pth').get('sample_state', dict(parts={}))['parts']
        for run in (two, tmp_path)
    ]
    torch.testing.assert_close(*kept, rtol=1e-9, atol=1e-9)
    for metrics in zip(*(figures(run) for run in (two, tmp_path)), strict=True):
        assert metrics[0] == pytest.approx(metrics[1], rel=1e-9)


def figures(run):
    """Metrics of each epoch, and the score table, of a work dir."""
    history = json.loads((run / 'history.json').read_text())
    rows = csv.DictReader((run / 'sample_scores.csv').read_text().splitlines())
    return [
        *(entry['metrics'] for entry in history),
        *({k: float(row[k]) for k in ('sample_id', 'noise_score')} for row in rows),
    ]


def test_gathering(folder, tmp_path):
    """Gradients, draws and statistics of the global batch, and its order."""
    check_gathering(tmp_path / 'one.pth')
    one, first, second = (
        torch.load(path)
        for path in (
            tmp_path / 'one.pth',
            folder / 'gathering_0.pth',
            folder / 'gathering_1.pth',
        )
    )
    assert one.pop('fewest') == 7
    assert first.pop('fewest') == second.pop('fewest') == 2
    for name, value in one.items():
        torch.testing.assert_close(first[name], value, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(second[name], value, rtol=1e-12, atol=1e-12)


def test_slurm_gives_each_process_its_place(tmp_path, monkeypatch):
    """With the variables of a job of 8 tasks on 2 machines, as far as one process goes.

    mmengine joins the group; the tool must leave it the rank within the machine.
    """
    program = tmp_path / 'scontrol'
    program.write_text('#!/bin/sh\nprintf "node1\\nnode2\\n"\n')
    program.chmod(0o755)
    job = dict(PROCID='5', NTASKS='8', NODELIST='node[1-2]', LOCALID='1')
    for name, value in job.items():
        monkeypatch.setenv(f'SLURM_{name}', value)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    for name in ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.delenv(name, raising=False)
    # mmengine sets them itself, and monkeypatch must remove them afterwards.
    monkeypatch.setattr(os, 'environ', os.environ.copy())
    joined, chosen = [], []
    monkeypatch.setattr('torch.cuda.set_device', chosen.append)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 4)
    monkeypatch.setattr('mmfer.cli.common.get_device', lambda: 'cuda')
    monkeypatch.setattr(
        'torch.distributed.init_process_group', lambda **kwargs: joined.append(kwargs)
    )
    arguments = argparse.Namespace(local_rank=0, launcher='slurm', work_dir=None)
    cfg = load_config(f'{CONFIGS}/ce/ce_r18_synthfaces.py', arguments)
    init_dist(cfg.launcher, **cfg.env_cfg.dist_cfg)
    assert joined == [dict(backend='nccl')] and chosen == [1]
    place = {k: os.environ[k] for k in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK')}
    assert place == dict(RANK='5', WORLD_SIZE='8', LOCAL_RANK='1')
    assert os.environ['MASTER_ADDR'] == 'node1'


def test_two_processes_fit_the_same_mixture_as_one(folder):
    order = np.random.default_rng(1).permutation(1001)
    fit(order, scores()[:, order], folder / 'fit_one.pth')
    one, first, second = (
        torch.load(folder / f'fit_{name}.pth') for name in ('one', 0, 1)
    )
    for k in range(2):
        assert_same_state(one[k], first[k])
        assert_same_state(one[k], second[k])


WAIT = """
import sys
import time
from datetime import timedelta

import torch.distributed as dist

from mmfer.methods.gaave.models import SubsetModels

dist.init_process_group('gloo', timeout=timedelta(seconds=3))
rank = dist.get_rank()


def slow():
    assert rank == 0
    time.sleep(5)
    return dict(rank=rank)


found = SubsetModels.from_first_process(slow)
open(f'{sys.argv[1]}/{rank}', 'w').write(str(found))
"""


def test_processes_wait_for_the_first_one(tmp_path):
    """Also if it takes longer than the limit of the process group."""
    script = tmp_path / 'wait.py'
    script.write_text(WAIT)
    run_two(str(script), str(tmp_path))
    assert [(tmp_path / name).read_text() for name in '01'] == ["{'rank': 0}"] * 2


@pytest.mark.parametrize('name', ['resup', 'coteaching', 'alum'])
def test_train_score_and_resume(folder, name):
    whole, resumed = folder / name, folder / f'{name}_resumed'
    assert_same_state(
        *(torch.load(run / 'epoch_3.pth')['state_dict'] for run in (whole, resumed))
    )
    table = (whole / 'sample_scores.csv').read_text()
    assert table == (resumed / 'sample_scores.csv').read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert [int(row['sample_id']) for row in rows] == list(range(95))


def test_joint_gan_trains_scores_and_resumes(folder):
    whole, resumed = folder / 'gan', folder / 'gan_resumed'
    weights = torch.load(whole / 'epoch_2.pth')
    for key in ('state_dict', 'ema_state_dict'):
        assert_same_state(weights[key], torch.load(resumed / 'epoch_2.pth')[key])
    rows = list(csv.DictReader((whole / 'sample_scores.csv').read_text().splitlines()))
    assert [int(row['sample_id']) for row in rows] == list(range(63))
    # A checkpoint of two processes fits a model of one.
    cfg = joint_gan_config(folder)
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    model.load_state_dict(weights['state_dict'])


def test_two_processes_clean_as_one(folder, tmp_path, monkeypatch):
    """With the same models, the attack shared out gives the same decisions.

    The last batches have other sizes in one process and in two, so that
    probabilities agree up to float noise only.
    """
    two = folder / 'gaave'
    results = sorted((two / 'cleaning').glob('*/result.npz'))
    assert len(results) == 2
    shutil.copytree(two / 'cleaning', tmp_path / 'one/cleaning')
    # Those of the attacks, too, which are in folders of the stages.
    for result in (tmp_path / 'one/cleaning').rglob('result.npz'):
        result.unlink()
    cfg = gaave_config(tmp_path / 'one')
    # Models of two processes are others than those of one; take them over.
    monkeypatch.setattr(subset_training, 'get_world_size', lambda: 2)
    # The two ran on CPUs.
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    with pytest.raises(Stop):
        train(cfg, StopAt('before_train', 0))
    for result in results:
        found = [
            np.load(run / result.relative_to(two)) for run in (two, tmp_path / 'one')
        ]
        assert set(found[0].files) == set(found[1].files)
        # The check of a file is that of its bits.
        for name in set(found[0].files) - {CHECK}:
            first, second = (arrays[name] for arrays in found)
            if first.dtype.kind == 'f':
                np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-9)
            else:
                np.testing.assert_array_equal(first, second)
    steps = np.load(results[-1])['attack_steps']
    assert len(steps) == 191 and len(set(steps.tolist())) > 4


def test_two_processes_decide_the_same_by_probabilities(folder):
    """One of them looks at the images, and both get what the stage has stored."""
    root = folder / 'default/cleaning'
    first, second = (np.load(root / f'decisions_{rank}.npz') for rank in range(2))
    assert (first['passes'], second['passes']) == (1, 0)
    for name in set(first.files) - {'passes'}:
        np.testing.assert_array_equal(first[name], second[name])
    # The case is worth a test.
    (entry,) = json.loads((root / 'record.json').read_text())['subsets']
    assert entry['candidates'] > 100 and entry['expected']['wrong'] > 0.1
    assert len(list(root.glob('*/result.npz'))) == 3
    table = (folder / 'default/sample_scores.csv').read_text().splitlines()
    decisions = [row['decision'] for row in csv.DictReader(table)]
    assert decisions == first['decision'].tolist()
