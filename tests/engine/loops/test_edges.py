"""Runs that stop or end where an epoch, a pass or a schedule has an edge."""

import json

import pytest
from helpers import Stop, StopAt, assert_same_state, optimizer_state, train
from loop_helpers import StopAfter, assert_same_runs, config, config_by_iterations
from mmengine.hooks import EarlyStoppingHook, Hook


def names(folder):
    return {path.name for path in folder.glob('*.pth')}


def last(folder):
    return folder / (folder / 'last_checkpoint').read_text()


# Twelve iterations are two passes: the checkpoint is written between two of them.
@pytest.mark.parametrize('saved, stop', [(6, 13), (7, 15)])
@pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
def test_stop_at_the_end_of_a_pass(tmp_path, sampler, saved, stop):
    """Each pass has its own augmentation, also if the run was resumed twice."""

    def by_iterations(folder, resume=False):
        return config_by_iterations(
            tmp_path / folder,
            sampler,
            20,
            default_hooks__checkpoint__by_epoch=False,
            default_hooks__checkpoint__interval=saved,
            resume=resume,
        )

    whole = train(by_iterations('whole'))
    with pytest.raises(Stop):
        train(by_iterations('parts'), StopAfter(stop))
    with pytest.raises(Stop):
        train(by_iterations('parts', resume=True), StopAfter(19))
    resumed = train(by_iterations('parts', resume=True))
    states = [
        run.train_dataloader.dataset._random_state.tolist() for run in (whole, resumed)
    ]
    assert states == [[0, 3], [0, 3]]
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))


@pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
def test_checkpoint_at_the_end_of_a_pass(tmp_path, sampler):
    """No epoch ends there, so a hook that is counted in epochs has to save itself."""
    cfg = config_by_iterations(
        tmp_path, sampler, 16, default_hooks__checkpoint__save_iters=6
    )
    with pytest.raises(Stop):
        train(cfg, StopAfter(13))
    assert names(tmp_path) == {'iter_6.pth', 'iter_12.pth'}


def test_checkpoint_of_the_epoch_is_written_once(tmp_path):
    """No second one is written at its last batch, also not in the last epoch."""
    written = []

    class Watch(Hook):
        def before_save_checkpoint(self, runner, checkpoint):
            written.append((checkpoint['meta']['epoch'], checkpoint['meta']['iter']))

    train(config(tmp_path, every=6, default_hooks__checkpoint__interval=2), Watch())
    assert written == [(0, 6), (2, 12), (3, 18)]


def test_stop_after_a_checkpoint_at_the_last_batch(tmp_path):
    """The epoch whose batches are all done ends once, with its validation."""
    options = dict(default_hooks__checkpoint__interval=3)
    whole = train(config(tmp_path / 'whole', every=None, **options))
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', every=6, **options), StopAfter(8))
    assert last(tmp_path / 'parts').name == 'iter_6.pth'
    resumed = train(config(tmp_path / 'parts', every=6, resume=True, **options))
    assert_same_runs(whole, resumed, tmp_path)


# -- validation ----------------------------------------------------------------
@pytest.mark.parametrize(
    'options, expected',
    [
        (dict(train_cfg__val_interval=2), [2, 3]),
        (dict(train_cfg__val_interval=5), [3]),
        (dict(train_cfg__val_interval=5, train_cfg__dynamic_intervals=[(2, 1)]), None),
    ],
    ids=['last', 'only', 'dynamic'],
)
def test_stop_in_the_validation_of_the_last_epoch(tmp_path, options, expected):
    """The validation of the last epoch is made up for, whatever the interval."""
    options['every'] = None
    whole = train(config(tmp_path / 'whole', **options))
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', **options), StopAt('before_val_epoch', 3))
    resumed = train(config(tmp_path / 'parts', resume=True, **options))
    assert_same_runs(whole, resumed, tmp_path)
    entries = json.loads((tmp_path / 'parts/history.json').read_text())
    expected = expected or [1, 2, 3]
    assert [e['epoch'] for e in entries if 'metrics' in e] == expected


@pytest.mark.parametrize('epoch', [1, 3])
def test_best_checkpoint_after_a_stop_in_a_validation(tmp_path, epoch):
    """All hooks have begun the run when the missing validation is made up for."""
    options = dict(every=None, default_hooks__checkpoint__save_best='accuracy/top1')
    whole = train(config(tmp_path / 'whole', **options))
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', **options), StopAt('before_val_epoch', epoch))
    resumed = train(config(tmp_path / 'parts', resume=True, **options))
    assert names(tmp_path / 'whole') == names(tmp_path / 'parts')
    assert_same_runs(whole, resumed, tmp_path)


def test_early_stop_after_a_stop_in_a_validation(tmp_path):
    """A validation that ends the run ends it before another epoch is trained."""

    class Impatient(EarlyStoppingHook):
        def after_val_epoch(self, runner, metrics=None):
            runner.train_loop.stop_training = runner.epoch == 1

    hook = dict(monitor='accuracy/top1')
    train(config(tmp_path / 'whole', every=None), Impatient(**hook))
    with pytest.raises(Stop):
        train(
            config(tmp_path / 'parts', every=None),
            StopAt('before_val_epoch', 1),
            Impatient(**hook),
        )
    resumed = train(
        config(tmp_path / 'parts', every=None, resume=True), Impatient(**hook)
    )
    assert resumed.epoch == 1
    assert names(tmp_path / 'whole') == names(tmp_path / 'parts')


# -- early end -----------------------------------------------------------------
class StopTraining(Hook):
    """End the training after an epoch, as ``EarlyStoppingHook`` does."""

    def after_val_epoch(self, runner, metrics=None):
        runner.train_loop.stop_training = runner.epoch == 1


@pytest.mark.parametrize('interval, left', [(5, 'iter_4.pth'), (1, 'epoch_1.pth')])
def test_early_end_keeps_its_checkpoint(tmp_path, interval, left):
    """The last checkpoint stays: it is the only one if no epoch has one."""
    options = dict(every=4, default_hooks__checkpoint__interval=interval)
    train(config(tmp_path, **options), StopTraining())
    assert last(tmp_path).name == left
    assert names(tmp_path) == {left}
    # A run goes on from it.
    resumed = train(config(tmp_path, resume=True, **options))
    assert resumed.epoch == 3
    assert names(tmp_path) == (
        {'epoch_3.pth'} if interval == 5 else {'epoch_2.pth', 'epoch_3.pth'}
    )
