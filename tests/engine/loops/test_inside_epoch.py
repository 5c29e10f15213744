"""A run that stops inside an epoch ends like an uninterrupted one."""

import os
import signal
import time

import pytest
import torch
from helpers import Stop, assert_same_state, optimizer_state, train
from loop_helpers import StopAfter, assert_same_runs, config, config_by_iterations
from mmengine.hooks import Hook

from mmfer.engine.loops import ResumableEpochLoop, ResumableIterLoop
from mmfer.engine.loops.remaining import Passes, remaining_batches
from mmfer.utils.signals import DeferredSignals, Interrupted


# Six batches an epoch: inside the first one, at its last batch, in later ones.
@pytest.mark.parametrize(
    'name, step, workers',
    [
        ('ce', 3, 0),
        ('ce', 6, 0),
        ('ce', 11, 2),
        ('rul', 9, 0),
        ('alum', 15, 0),
        ('resup', 10, 0),
        ('resup', 17, 2),
        ('coteaching', 9, 0),
        ('jocor', 10, 0),
    ],
)
def test_stop_inside_epoch(tmp_path, name, step, workers):
    whole = train(config(tmp_path / 'whole', name, workers, every=None))
    assert isinstance(whole.train_loop, ResumableEpochLoop)
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', name, workers), StopAfter(step))
    # The checkpoint of the epoch follows the last batch.
    last = step // 2 * 2 - 2 * (step % 6 == 0)
    assert (tmp_path / 'parts' / f'iter_{last}.pth').exists()
    resumed = train(config(tmp_path / 'parts', name, workers, resume=True))
    assert_same_runs(whole, resumed, tmp_path)
    assert not list((tmp_path / 'parts').glob('iter_*.pth'))


@pytest.mark.parametrize(
    'options',
    [
        dict(custom_hooks=[dict(type='EMAHook', momentum=0.3)]),
        # The epoch of six batches ends between two steps of the optimizer.
        dict(optim_wrapper__accumulative_counts=4),
        dict(
            custom_hooks=[
                dict(type='RelabelHook', start_epoch=1, fraction=1.0, threshold=-1e-9)
            ]
        ),
        dict(
            param_scheduler=[
                dict(
                    type='OneCycleLR',
                    eta_max=0.05,
                    total_steps=3,
                    convert_to_iter_based=True,
                )
            ]
        ),
        dict(train_dataloader__drop_last=True, train_dataloader__batch_size=20),
        dict(train_dataloader__sampler=dict(type='BalancedSampler')),
        dict(train_dataloader__collate_fn=dict(type='default_collate')),
    ],
    ids=['ema', 'accumulate', 'relabel', 'schedule', 'drop_last', 'balanced', 'slow'],
)
def test_stop_inside_epoch_with(tmp_path, options):
    whole = train(config(tmp_path / 'whole', every=None, **options))
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', **options), StopAfter(11))
    resumed = train(config(tmp_path / 'parts', resume=True, **options))
    assert_same_runs(whole, resumed, tmp_path)


def test_end_of_epoch_between_two_steps_of_the_optimizer(tmp_path):
    """The gradients of an epoch that ends there are in its checkpoint."""
    options = dict(optim_wrapper__accumulative_counts=4)
    whole = train(config(tmp_path / 'whole', every=None, **options))
    with pytest.raises(Stop):
        train(config(tmp_path / 'parts', every=None, **options), StopAfter(8))
    resumed = train(config(tmp_path / 'parts', every=None, resume=True, **options))
    assert_same_runs(whole, resumed, tmp_path)


def test_two_checkpoints_are_kept(tmp_path):
    """Each checkpoint that was written last has one before it."""

    class Watch(Hook):
        priority = 'LOWEST'
        seen = []

        def after_train_iter(self, runner, *args, **kwargs):
            self.seen.append({p.stem for p in tmp_path.glob('*.pth')})

    train(config(tmp_path), Watch())
    assert Watch.seen[0] == set()
    assert Watch.seen[1] == {'iter_2'}
    assert Watch.seen[3] == {'iter_2', 'iter_4'}
    assert all(len(names) >= 2 for names in Watch.seen[3:])
    assert all(len(names) <= 4 for names in Watch.seen)


def test_minutes(tmp_path, monkeypatch):
    """A checkpoint is written when so many minutes have passed since the last one."""
    now = [0.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])

    class Clock(Hook):
        priority = 'LOWEST'
        seen = {}

        def after_train_iter(self, runner, *args, **kwargs):
            self.seen[runner.iter + 1] = max(
                [int(p.stem[5:]) for p in tmp_path.glob('iter_*.pth')], default=0
            )
            now[0] += 60

    train(
        config(
            tmp_path,
            every=None,
            default_hooks__checkpoint__save_minutes=3,
            train_dataloader__batch_size=8,
        ),
        Clock(),
    )
    assert [Clock.seen[i] for i in range(1, 13)] == [
        0,
        0,
        0,
        4,
        4,
        4,
        7,
        7,
        7,
        10,
        10,
        10,
    ]


# -- counted in iterations ----------------------------------------------------
@pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
@pytest.mark.parametrize('workers', [0, 2])
def test_iterations(tmp_path, sampler, workers):
    """Four passes of six batches; the same bits with workers and when resumed."""

    def by_iterations(folder, workers=0, **options):
        return config_by_iterations(
            tmp_path / folder,
            sampler,
            22,
            workers,
            default_hooks__checkpoint__by_epoch=False,
            default_hooks__checkpoint__interval=5,
            **options,
        )

    whole = train(by_iterations('whole'))
    assert isinstance(whole.train_loop, ResumableIterLoop)
    with pytest.raises(Stop):
        train(by_iterations('parts', workers), StopAfter(17))
    assert (tmp_path / 'parts/iter_15.pth').exists()
    resumed = train(by_iterations('parts', workers, resume=True))
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(optimizer_state(whole), optimizer_state(resumed))
    # Later passes have another augmentation than the first.
    dataset = resumed.train_dataloader.dataset
    assert dataset._random_state.tolist() == [0, 3]


def test_remaining_batches_are_not_loaded():
    loaded = []

    class Numbers(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, index):
            loaded.append(index)
            return index

    loader = torch.utils.data.DataLoader(Numbers(), batch_size=3)
    rest = [batch.tolist() for batch in remaining_batches(loader, 2)]
    assert rest == [[6, 7, 8], [9]]
    assert loaded == [6, 7, 8, 9]
    assert [x.tolist() for x in remaining_batches(list(loader), 3)] == [[9]]


def test_passes_of_an_endless_sampler():
    passes = Passes(iter(range(100)), length=4, skipped=6)
    assert [list(passes) for _ in range(3)] == [
        [6, 7],
        [8, 9, 10, 11],
        [12, 13, 14, 15],
    ]


# -- signals ------------------------------------------------------------------
def test_signals_wait():
    # A job in the background of a shell ignores SIGINT.
    before = signal.getsignal(signal.SIGINT)
    with DeferredSignals(deferring=True) as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        with pytest.raises(Interrupted) as second:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        assert second.value.code == 130
    with DeferredSignals(), pytest.raises(Interrupted) as first:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert first.value.code == 143
    assert signal.getsignal(signal.SIGINT) is before


def test_repeated_signal_counts_once(monkeypatch):
    """A cluster sends SIGTERM to all, and torchrun passes its own one on."""
    now = [100.0]
    monkeypatch.setattr('mmfer.utils.signals.time.monotonic', lambda: now[0])

    def send():
        os.kill(os.getpid(), signal.SIGTERM)
        # Python calls the handler between two instructions.
        for _ in range(1000):
            pass

    with DeferredSignals(deferring=True) as signals:
        send()
        now[0] += 1.9
        send()
        assert signals.received == signal.SIGTERM
        now[0] += 0.2
        with pytest.raises(Interrupted) as second:
            send()
        assert second.value.code == 143


class Signal(Hook):
    """Get a signal at a hook point of an epoch, 1-based."""

    def __init__(self, number, point, epoch):
        self.number, self.epoch = number, epoch
        setattr(self, point, self.send)

    def send(self, runner, *args, **kwargs):
        if runner.epoch == self.epoch and not hasattr(self, 'sent'):
            self.sent = True
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    'point, epoch, saved',
    [
        ('after_train_iter', 1, 'iter_7'),
        ('after_train_epoch', 1, 'epoch_2'),
        ('before_val_epoch', 2, 'epoch_2'),
    ],
)
def test_signal_saves_and_ends(tmp_path, point, epoch, saved):
    """At most one iteration is trained after the signal, and nothing is lost."""
    whole = train(config(tmp_path / 'whole', every=None))
    with pytest.raises(Interrupted) as error:
        train(
            config(tmp_path / 'parts', every=None), Signal(signal.SIGTERM, point, epoch)
        )
    assert error.value.code == 143
    assert f'{saved}.pth' in (tmp_path / 'parts/last_checkpoint').read_text()
    resumed = train(config(tmp_path / 'parts', every=None, resume=True))
    assert_same_runs(whole, resumed, tmp_path)
