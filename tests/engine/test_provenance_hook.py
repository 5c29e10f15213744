"""Checkpoints say what made them, and a resumed run is compared with that."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Stop, StopAt, results, tiny_config, train
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer.datasets import ImageFolders, SyntheticFaces
from mmfer.engine.hooks.provenance import ProvenanceError
from mmfer.engine.run_changes import changed_settings
from mmfer.engine.run_record import describe_data, describe_labels, flat_settings

NAME = 'ce/ce_r18_synthfaces_noise30'
DATA = Path(__file__).parents[1] / 'data'
LR = 'optim_wrapper.optimizer.lr'


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
    """Work dir of a run of three epochs that was stopped after the first."""
    folder = tmp_path_factory.mktemp('run')
    with pytest.raises(Stop):
        train(tiny_config(folder, NAME), StopAt('before_train_epoch', 1))
    return folder


@pytest.fixture
def work_dir(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / 'copy')
    return tmp_path / 'copy'


def resume(work_dir, **options):
    """Resume a run; return the runner and its warnings."""
    runner = Runner.from_cfg(tiny_config(work_dir, NAME, resume=True, **options))
    texts = []
    runner.logger.warning = lambda text, *_: texts.append(str(text))
    runner.train()
    # mmengine warns, too.
    others = 'FileClient', 'The value of random seed'
    return runner, [t for t in texts if not any(other in t for other in others)]


def segments(work_dir):
    return json.loads((work_dir / 'summary.json').read_text())['segments']


# -- what is recorded ----------------------------------------------------------
def test_the_record_of_a_checkpoint(stopped):
    record = torch.load(stopped / 'epoch_1.pth', weights_only=True)['provenance']
    assert record['data']['samples'] == 96
    assert sum(record['labels']['counts']) == 96
    assert record['settings'][LR] == '0.002'
    assert record['settings']['train_dataloader.dataset.label_noise.rate'] == '0.3'
    assert record['circumstances']['batch_size'] == 32
    (segment,) = record['segments']
    assert (segment['first_epoch'], segment['last_epoch']) == (1, 1)
    assert (segment['first_iter'], segment['last_iter']) == (1, 3)
    assert 'torch' in segment['circumstances']['versions']


def test_hashes_follow_labels_and_images():
    options = dict(num_samples=20, size=16)

    def hashes(**changed):
        dataset = SyntheticFaces(**{**options, **changed})
        dataset.full_init()
        return (describe_labels(dataset)['sha256'], describe_data(dataset)['sha256'])

    noise = dict(type='SymmetricNoise', rate=0.3)
    same = hashes(label_noise=noise)
    assert same == hashes(label_noise=noise)
    for other in (dict(noise, seed=1), dict(noise, rate=0.4)):
        labels, data = hashes(label_noise=other)
        assert labels != same[0] and data == same[1]
    assert hashes(num_samples=19)[1] != same[1]
    assert hashes(label_noise=noise, indices=list(range(1, 20)))[1] != same[1]


def test_sizes_of_image_files_count(tmp_path):
    """Other pictures under the same names are other data."""
    for name in ('a/1.png', 'a/2.png', 'b/1.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'image')

    def found():
        dataset = ImageFolders(data_root=str(tmp_path))
        return describe_data(dataset)['sha256']

    before = found()
    shutil.copytree(tmp_path, tmp_path.parent / 'moved')
    moved = ImageFolders(data_root=str(tmp_path.parent / 'moved'))
    assert describe_data(moved)['sha256'] == before == found()
    (tmp_path / 'a/2.png').write_bytes(b'another image')
    assert found() != before


def test_flat_settings():
    cfg = Config(
        dict(
            a=dict(b=[1, 2], c=[dict(d=1), 3], e={}, work_dir='x'),
            load_from='x',
            f=len,
            n=float('inf'),
        )
    )
    assert flat_settings(cfg) == {
        'a.b': '[1, 2]',
        'a.c.0.d': '1',
        'a.c.1': '3',
        'a.e': '{}',
        'f': '"<built-in function len>"',
        'n': 'Infinity',
    }

    def value():
        return flat_settings(Config(dict(f=lambda: None)))

    # The address of an object differs in each process.
    assert '0x' not in value()['f']


def test_variables_of_a_config_are_not_named_twice():
    before = {'lr': '1', f'{LR}': '1', 'x': '1'}
    now = {'lr': '2', f'{LR}': '2', 'x': '1'}
    assert [change.name for change in changed_settings(before, now)] == [LR]
    (change,) = changed_settings({'x': '1'}, {})
    assert str(change) == 'x: 1 -> (not set)'


# -- what is compared ----------------------------------------------------------
def test_the_same_run(work_dir, tmp_path):
    """It says nothing, and its summary is that of a run without a stop."""
    runner, texts = resume(work_dir)
    assert texts == []
    train(tiny_config(tmp_path / 'whole', NAME))
    assert results(work_dir) == results(tmp_path / 'whole')
    (segment,) = segments(work_dir)
    assert (segment['last_epoch'], segment['last_iter']) == (3, 9)


@pytest.mark.parametrize(
    'options, text',
    [
        (dict(train_dataloader__dataset__label_noise__seed=3), 'seed=0 -> .*seed=3'),
        (dict(train_dataloader__dataset__label_noise__rate=0.1), 'rate=0.3.* -> .*0.1'),
        (dict(train_dataloader__dataset__label_noise=None), 'planted noise.*none'),
        (dict(train_dataloader__dataset__num_samples=80), 'samples: 96 -> 80'),
        (
            dict(train_dataloader__dataset__indices=list(range(95, -1, -1))),
            'first training image',
        ),
    ],
)
def test_other_labels_or_images_are_refused(work_dir, options, text):
    names = ('epoch_1.pth', 'history.json', 'last_checkpoint')
    before = [(work_dir / name).read_bytes() for name in names]
    with pytest.raises(ProvenanceError, match=text) as error:
        resume(work_dir, **options)
    assert 'epoch_1.pth was trained on other' in str(error.value)
    assert '--work-dir' in str(error.value)
    # The setting that has changed it is named.
    (name,) = options
    assert name.replace('__', '.') in str(error.value)
    assert before == [(work_dir / name).read_bytes() for name in names]
    assert not (work_dir / 'previous').exists()


def test_decisions_are_labels(work_dir, tmp_path):
    """Another table is refused, also one that changes a single sample."""
    train(tiny_config(tmp_path / 'a', NAME, train_cfg__max_epochs=1))
    lines = (tmp_path / 'a/sample_scores.csv').read_text().splitlines()
    column = lines[0].split(',').index('decision')
    rows = [line.split(',') for line in lines]
    for row in rows[1:]:
        row[column] = 'keep'
    tables = []
    for k in range(2):
        tables.append(str(tmp_path / f'{k}.csv'))
        rows[5][column] = ('keep', 'drop')[k]
        Path(tables[-1]).write_text('\n'.join(map(','.join, rows)) + '\n')
    place = 'train_dataloader__dataset__decisions'
    with pytest.raises(ProvenanceError, match="decisions of the .*not set.*'keep': 96"):
        resume(work_dir, **{place: tables[0]})
    folder = tmp_path / 'b'
    with pytest.raises(Stop):
        train(
            tiny_config(folder, NAME, **{place: tables[0]}),
            StopAt('before_train_epoch', 1),
        )
    with pytest.raises(ProvenanceError, match="'drop': 1, 'keep': 95"):
        resume(folder, **{place: tables[1]})
    _, texts = resume(folder, **{place: tables[0]})
    assert texts == []


def test_other_settings_are_named(work_dir):
    """Those without effect are said to have none, and have none."""
    runner, (text,) = resume(
        work_dir,
        optim_wrapper__optimizer__lr=0.5,
        optim_wrapper__optimizer__weight_decay=0.25,
        param_scheduler__gamma=0.7,
        param_scheduler__milestones=[50],
        train_dataloader__batch_size=16,
        train_cfg__max_epochs=4,
    )
    lines = {line.split(':')[0].strip(): line for line in text.splitlines()[1:-1]}
    without_effect = {name for name, line in lines.items() if 'no effect' in line}
    assert without_effect == {
        LR,
        'optim_wrapper.optimizer.weight_decay',
        'param_scheduler.gamma',
        'param_scheduler.milestones',
    }
    assert {*lines} - without_effect == {
        'train_dataloader.batch_size',
        'train_cfg.max_epochs',
    }
    assert '0.002 -> 0.5' in lines[LR] and '32 -> 16' in text and '3 -> 4' in text
    assert 'load_from=' in text
    (group,) = runner.optim_wrapper.param_groups
    assert group['weight_decay'] != 0.25
    # The schedule of the checkpoint has lowered the rate once, by its own factor.
    (scheduler,) = runner.param_schedulers
    assert scheduler.gamma != 0.7 and 50 not in scheduler.milestones
    assert group['lr'] == pytest.approx(0.002 * scheduler.gamma)
    assert runner.epoch == 4
    first, second = segments(work_dir)
    assert (first['first_epoch'], first['last_epoch']) == (1, 1)
    assert (second['first_epoch'], second['last_epoch']) == (2, 4)
    assert (first['last_iter'], second['first_iter']) == (3, 4)
    assert second['last_iter'] == 3 + 3 * 6
    assert second['changed'][LR] == ['0.002', '0.5']
    assert second['circumstances']['batch_size'] == 16
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['config_sha256'] is None
    assert summary['labels_sha256'] == first['labels_sha256']


def test_a_run_that_was_resumed_twice(work_dir):
    """The summary tells all, although the second part said nothing."""
    threads = torch.get_num_threads()
    with pytest.raises(Stop):
        train(
            tiny_config(work_dir, NAME, resume=True, randomness__seed=4),
            StopAt('before_train_epoch', 2),
        )
    torch.set_num_threads(threads + 1)
    try:
        _, (text,) = resume(work_dir, randomness__seed=4)
    finally:
        torch.set_num_threads(threads)
    assert f'threads: {threads} -> {threads + 1}' in text
    parts = segments(work_dir)
    assert [(p['first_epoch'], p['last_epoch']) for p in parts] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert list(parts[1]['changed']) == ['randomness.seed']
    assert list(parts[2]['changed']) == ['threads']
    # The third part had the settings of the second.
    assert parts[1]['config_sha256'] == parts[2]['config_sha256']


def test_a_stop_inside_an_epoch(tmp_path):
    """Both segments name the epoch, and the iterations tell them apart."""
    saving = dict(default_hooks__checkpoint__save_iters=2)
    with pytest.raises(Stop):
        train(tiny_config(tmp_path, NAME, **saving), StopAt('after_train_epoch', 1))
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_4.pth'
    resume(tmp_path, train_cfg__max_epochs=4, **saving)
    names = ('first_epoch', 'first_iter', 'last_epoch', 'last_iter')
    assert [[part[name] for name in names] for part in segments(tmp_path)] == [
        [1, 1, 2, 4],
        [2, 5, 4, 12],
    ]


def test_not_strict(work_dir):
    noise = dict(train_dataloader__dataset__label_noise__seed=3)
    _, texts = resume(work_dir, default_hooks__provenance__strict=False, **noise)
    assert sum('on other labels or images' in text for text in texts) == 1
    parts = segments(work_dir)
    assert len({part['labels_sha256'] for part in parts}) == 2
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['labels_sha256'] is None


def test_relabelling_is_not_another_list(tmp_path):
    """Labels that a hook has changed are part of the state of a run."""
    hooks = [dict(type='RelabelHook', start_epoch=1, fraction=1.0, threshold=-1e-9)]
    with pytest.raises(Stop):
        train(
            tiny_config(tmp_path, NAME, custom_hooks=hooks),
            StopAt('before_train_epoch', 2),
        )
    _, texts = resume(tmp_path, custom_hooks=hooks)
    assert texts == []


@pytest.mark.parametrize('entry', [None, 7, dict(version=99)])
def test_a_checkpoint_without_a_record(work_dir, entry):
    path = work_dir / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['provenance'] = entry
    torch.save(checkpoint, path)
    _, (text,) = resume(work_dir)
    assert 'has no record of what made it' in text
    first, second = segments(work_dir)
    assert 'labels_sha256' not in first and first['last_epoch'] == 1
    assert second['first_epoch'] == 2 and second['labels_sha256']
    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['labels_sha256'] is None


def test_work_dirs_of_0_1_resume(tmp_path):
    (tmp_path / 'alum.py').write_text(
        (DATA / 'checkpoints_0.1/alum.py.txt').read_text()
    )
    with gzip.open(DATA / 'checkpoints_0.1/alum.pth.gz') as file:
        (tmp_path / 'epoch_2.pth').write_bytes(file.read())
    (tmp_path / 'last_checkpoint').write_text('work_dirs/moved/epoch_2.pth')
    cfg = Config.fromfile(tmp_path / 'alum.py')
    cfg.merge_from_dict(
        {'work_dir': str(tmp_path), 'resume': True, 'train_cfg.max_epochs': 3}
    )
    runner = train(cfg)
    assert runner.epoch == 3
    summary = json.loads((tmp_path / 'summary.json').read_text())
    # Without the hook, nobody has compared the two parts.
    assert summary['labels_sha256'] is summary['config_sha256'] is None
    assert np.isfinite(summary['metrics']['accuracy/top1']['last'])
