"""The loop against the bare step: a clock that is known, and a real run."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import load_tool, tiny_config
from mmengine.config import Config
from mmengine.device import get_device

from mmfer.analysis.benchmarks import loop_speed, made_images, timed_runs
from mmfer.datasets import RAFDB, FERPlus

tool = load_tool('benchmarks/loop_speed.py')
BATCH = 4
# Seconds of the parts of an iteration. All sums are exact in floats.
DATA, HOOK, PREPARE, STEP, EPOCH_END = 4.0, 0.25, 2.0, 8.0, 1000.0


class FakeRunner:
    """Loop of a Runner whose parts move a clock by hand.

    Args:
        iterations (int): Iterations of an epoch.
        workers (int): Workers; each keeps two batches ready, as torch's do.
    """

    def __init__(self, iterations, workers=0):
        self.now = 0.0
        self.iterations = iterations
        self.queue = 0
        self.served = []
        loader = SimpleNamespace(
            num_workers=workers, prefetch_factor=2 if workers else None
        )
        self.train_dataloader = type(
            'Loader', (), dict(vars(loader), __len__=lambda _: iterations)
        )()
        self.full = 2 * workers
        self.optim_wrapper = object()
        self.model = SimpleNamespace(
            data_preprocessor=SimpleNamespace(forward=self.prepare),
            train_step=self.train_step,
        )
        self.batches = []

    def prepare(self, data, training):
        self.now += PREPARE
        return data, 'ready'

    def train_step(self, data, optim_wrapper):
        assert optim_wrapper is self.optim_wrapper
        ready = self.model.data_preprocessor.forward(data, True)
        self.batches.append(ready)
        self.now += STEP
        if data == {}:
            # A bare step; workers fill their queue meanwhile.
            self.queue = self.full

    def call_hook(self, name, **kwargs):
        self.now += EPOCH_END if name == 'before_train_epoch' else HOOK

    def train(self):
        for number in range(10**4):
            if number % self.iterations == 0:
                self.call_hook('before_train_epoch')
            if self.queue:
                self.queue -= 1
            else:
                self.now += DATA
            self.call_hook('before_train_iter')
            self.model.train_step(number, self.optim_wrapper)
            self.call_hook('after_train_iter')


def time_fake(iterations, rounds=3, steps=3, workers=0):
    runner = FakeRunner(iterations, workers)
    waits = []
    timer = loop_speed.LoopTimer(
        runner, rounds, steps, lambda: waits.append(runner.now), lambda: runner.now
    )
    with pytest.raises(timed_runs.MeasurementDone):
        runner.train()
    return runner, timer.found, waits


@pytest.mark.parametrize('workers', [0, 3])
@pytest.mark.parametrize('iterations', [9, 11, 100])
def test_times_are_those_of_the_clock(iterations, workers):
    """Neither starts of epochs nor ready batches make the loop faster or slower."""
    _, found, waits = time_fake(iterations, workers=workers)
    assert found.loop == [DATA + 2 * HOOK + PREPARE + STEP] * 3
    assert found.bare == [STEP] * 3
    assert found.data == [DATA] * 3
    assert found.hooks == [2 * HOOK] * 3
    assert found.preprocessor == [PREPARE] * 3
    # Before and after each of the two parts of three rounds; an epoch may end between.
    assert len(waits) == 12 if iterations == 100 else len(waits) >= 12


def test_bare_steps_use_the_batch_that_is_ready():
    runner, _, _ = time_fake(100, rounds=1, steps=4)
    last = loop_speed.SETTLE + 4 - 1
    bare = runner.batches[last + 1 :]
    assert len(bare) == loop_speed.SETTLE + 4
    assert set(bare) == {(last, 'ready')}


def test_short_epoch_is_refused():
    with pytest.raises(ValueError, match='8 iterations, but a round takes 6 .* and 3'):
        time_fake(8, workers=3)


def test_summary_divides_within_rounds():
    # The machine is ten times as slow in the second round.
    found = loop_speed.Rounds(
        loop=[2.0, 20.0, 4.0],
        bare=[1.0, 10.0, 3.0],
        data=[0.5, 1.0, 0.25],
        hooks=[0.1] * 3,
        preprocessor=[0.2] * 3,
    )
    result = loop_speed.summarize(found, 8)
    assert result['ratio'] == dict(median=0.5, q1=0.5, q3=0.625)
    assert result['loop_ms']['median'] == 4000
    assert result['data_ms']['median'] == 500
    assert result['images_per_second'] == dict(loop=2, bare=2.6667)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """Paths of tiny configs, by method."""
    folder = tmp_path_factory.mktemp('configs')
    paths = {}
    for method in ('ce', 'resup'):
        cfg = tiny_config(
            None,
            f'{method}/{method}_r18_synthfaces_noise30',
            train_dataloader__batch_size=BATCH,
        )
        cfg.pop('work_dir')
        paths[method] = str(folder / f'{method}.py')
        cfg.dump(paths[method])
    return paths


def test_tool(tiny, monkeypatch, capsys):
    argv = ['loop_speed.py', '--configs', tiny['ce'], '--rounds', '2']
    argv += ['--steps', '1', '--workers', '0', '--device', 'cpu']
    argv += ['--cfg-options', 'train_dataloader.batch_size=6']
    monkeypatch.setattr('sys.argv', argv)
    capsys.readouterr()
    tool.main()
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result['machine']['device'] == 'cpu' and result['rounds'] == 2
    assert list(result['configs']) == [tiny['ce']]
    found = result['configs'][tiny['ce']]
    assert f'{tiny["ce"]}: ratio {found["ratio"]["median"]}' in said.err
    assert (found['batch_size'], found['workers']) == (6, 0)
    parts = [found[f'{name}_ms']['median'] for name in loop_speed.PARTS]
    assert 0 < sum(parts) < found['loop_ms']['median']
    assert found['images_per_second']['bare'] == pytest.approx(
        6e3 / found['bare_ms']['median'], rel=1e-3
    )
    assert found['image_us'] > 0


def test_resup_is_measured_after_its_warmup(tiny, tmp_path):
    """Noise models weigh the samples, as in most epochs of a run."""
    args = tool.parse_args(['--workers', '0', '--device', 'cpu'])
    runner = tool.timed_runner.build(tiny['resup'], args, tmp_path)
    seen = []
    step = runner.model.train_step

    def noted(data, optim_wrapper):
        seen.append((runner.model.warming_up, runner.model.noise_models[0].fitted))
        return step(data, optim_wrapper)

    runner.model.train_step = noted
    loop_speed.LoopTimer(runner, 1, 1, lambda: None)
    timed_runs.train_until_done(runner)
    assert set(seen) == {(False, True)}


def test_runs_have_no_more_than_training(tmp_path):
    args = tool.parse_args(['--workers', '3', '--batch-size', '5'])
    path = tool.timed_runner.find_config('alum/alum_r18_rafdb')
    cfg = tool.timed_runner.cli.load_config(path, args)
    options = dict(cfg.optim_wrapper)
    timed_runs.shorten(cfg, args.batch_size, args.workers)
    assert cfg.model.backbone.init_cfg is None
    assert cfg.val_dataloader is None and cfg.default_hooks.checkpoint is None
    assert cfg.train_dataloader.batch_size == 5
    assert cfg.train_dataloader.num_workers == 3
    assert dict(cfg.optim_wrapper) == options


def test_pretrained_weights_of_all_networks_are_forgotten():
    model = dict(
        network1=dict(backbone=dict(type='a', init_cfg=dict(type='Pretrained'))),
        network2=dict(backbone=dict(init_cfg=dict(checkpoint='b'))),
        backbone='timm',
    )
    timed_runs.forget_pretrained_weights(model)
    assert model['network1']['backbone'] == dict(type='a', init_cfg=None)
    assert model['network2']['backbone'] == dict(init_cfg=None)


def test_end_of_the_run_is_an_error():
    runner = SimpleNamespace(model=object(), train=lambda: None)
    with pytest.raises(RuntimeError, match='--rounds'):
        timed_runs.train_until_done(runner)


def test_device_is_chosen_and_restored():
    before = get_device()
    with timed_runs.chosen_device(torch.device('mps')):
        assert get_device() == 'mps'
    assert get_device() == before


@pytest.mark.parametrize('made', [None, 8])
def test_store_of_made_images_is_temporary(made, monkeypatch, capsys):
    monkeypatch.setenv('MMFER_CACHE_DIR', 'mine')
    args = tool.parse_args(['--made', '8'] if made else [])
    with tool.timed_runner.temporary_folder(args) as folder:
        print('a line of a run')
        expected = str(folder / 'cache') if made else 'mine'
        assert os.environ['MMFER_CACHE_DIR'] == expected and folder.is_dir()
    assert os.environ['MMFER_CACHE_DIR'] == 'mine' and not folder.exists()
    assert capsys.readouterr().out == ''


def test_batches_are_made_as_workers_make_them():
    class Set(list):
        pass

    class FastSet(Set):
        def __getitems__(self, positions):
            return ['fast', *positions]

    for dataset, expected in ((Set('abc'), ('c', 'a')), (FastSet(), ('fast', 2, 0))):
        loader = SimpleNamespace(dataset=dataset, collate_fn=tuple)
        assert timed_runs.batch_maker(loader)([2, 0]) == expected


@pytest.mark.parametrize('options', [('--steps', '0'), ('--made', '1')])
def test_bad_options(options, capsys):
    with pytest.raises(SystemExit) as error:
        tool.parse_args(options)
    assert error.value.code == 2
    assert f'{options[0]} must be at least' in capsys.readouterr().err


def test_made_rafdb(tmp_path):
    made_images.write_rafdb(tmp_path, 40, 10)
    train = RAFDB(data_root=str(tmp_path))
    assert len(train) == 40 and len(RAFDB(data_root=str(tmp_path), split='test')) == 10
    assert (
        train.get_gt_labels().tolist() == made_images.rafdb_labels('train', 40).tolist()
    )
    path = train.get_data_info(0)['img_path']
    assert made_images.cv2.imread(path).shape == (100, 100, 3)
    # About the size of an aligned face.
    with open(path, 'rb') as file:
        assert 2000 < len(file.read()) < 8000


def test_complete_made_rafdb_has_its_class_counts():
    for split, counts in made_images.RAFDB_CLASS_COUNTS.items():
        labels = made_images.rafdb_labels(split, sum(counts))
        assert np.bincount(labels).tolist() == list(counts)
    with pytest.raises(ValueError, match='RAF-DB has 12271'):
        made_images.rafdb_labels('train', 12272)


def test_made_ferplus(tmp_path):
    made_images.write_ferplus(tmp_path, 20, 9)
    train = FERPlus(data_root=str(tmp_path))
    assert train.get_gt_labels().tolist() == [i % 8 for i in range(20)]
    assert len(FERPlus(data_root=str(tmp_path), split='valid')) == 9
    path = train.get_data_info(19)['img_path']
    assert made_images.cv2.imread(path, -1).shape == (48, 48)


def test_made_images_for_other_sets_are_refused(tmp_path):
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='CIFAR10Faces'))))
    with pytest.raises(ValueError, match='RAFDB and FERPlus.*CIFAR10Faces'):
        made_images.use_made_images(cfg, tmp_path, 8)
