"""Scalars that are read late are the scalars that mmengine reads at once."""

import copy
import gc
import json
import pickle
import random
import weakref
from unittest import mock

import numpy as np
import pytest
import torch
from helpers import Stop, StopAt, tiny_config, train
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MessageHub

from mmfer.engine import deferred_scalars
from mmfer.engine.deferred_scalars import (
    DeferredBuffer,
    DeferredScalar,
    ScalarReader,
    scalar_reader,
    update_scalar,
)


@pytest.fixture
def reads(monkeypatch):
    """Counts the reads from the device, by dtype."""
    found = []
    read = ScalarReader.read

    def counting(self):
        found.extend({pack.tensor.dtype for pack in self._waiting})
        read(self)

    monkeypatch.setattr(ScalarReader, 'read', counting)
    return found


def same(first: HistoryBuffer, second: HistoryBuffer) -> None:
    """Two histories are equal, in each bit and in their dtypes."""
    for a, b in zip(first.data, second.data, strict=True):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()
    assert first.max_length == second.max_length


@pytest.mark.parametrize('seed', range(20))
def test_any_order_of_updates_and_reads(seed):
    """Tensors, arrays and numbers in one history, and reads in between."""
    draw = random.Random(seed)
    kinds = draw.sample(
        [
            lambda x: torch.tensor(x, dtype=torch.float32),
            lambda x: torch.tensor([x], dtype=torch.bfloat16),
            lambda x: torch.tensor([[x]], dtype=torch.float64),
            lambda x: torch.tensor(int(10 * x)),
            lambda x: torch.tensor(x) > 0.5,
            lambda x: np.float32(x),
            lambda x: np.array([x]),
            lambda x: x,
            lambda x: int(10 * x),
        ],
        draw.choice([1, 2, 4, 9]),
    )
    plain, late = MessageHub('plain'), MessageHub('late')
    names = [f'train/{i}' for i in range(3)]
    with mock.patch.object(deferred_scalars, 'MAX_WAITING', draw.choice([2, 7, 1000])):
        for _ in range(100):
            for name in names:
                if draw.random() < 0.8:
                    value = draw.choice(kinds)(draw.random())
                    plain.update_scalar(name, value)
                    update_scalar(late, name, value)
            name = draw.choice(names)
            if draw.random() < 0.1 and name in plain.log_scalars:
                a, b = (hub.get_scalar(name) for hub in (plain, late))
                for method in ('mean', 'max', 'min'):
                    window = draw.choice([None, 3])
                    assert a.statistics(method, window) == b.statistics(method, window)
                assert a.current() == b.current()
                same(a, b)
    assert list(plain.log_scalars) == list(late.log_scalars)
    assert plain.state_dict()['resumed_keys'] == late.state_dict()['resumed_keys']
    for name in plain.log_scalars:
        same(plain.get_scalar(name), late.get_scalar(name))


def test_longest_history():
    plain = HistoryBuffer([1.0, 2.0], [1, 1], max_length=5)
    late = DeferredBuffer(plain)
    for step in range(9):
        plain.update(float(step))
        late.update(float(step))
        if step % 4 == 0:
            same(plain, late)
    same(plain, late)


def test_copies_are_plain():
    """A checkpoint of any hook loads without mmfer."""
    hub = MessageHub('copies')
    update_scalar(hub, 'train/loss', torch.tensor(0.1))
    update_scalar(hub, 'train/loss', torch.tensor(0.2))
    late = hub.get_scalar('train/loss')
    assert type(late) is DeferredBuffer
    for copied in (
        copy.deepcopy(late),
        pickle.loads(pickle.dumps(late)),
        hub.state_dict()['log_scalars']['train/loss'],
    ):
        assert type(copied) is HistoryBuffer
        same(copied, late)
        assert copied.statistics('mean', 2) == late.mean(2)


def test_resumed_history_goes_on():
    hub = MessageHub('resumed')
    hub.load_state_dict(
        dict(
            log_scalars={'train/loss': HistoryBuffer([3.0], [1.0])},
            runtime_info={},
            resumed_keys={'train/loss': True},
        )
    )
    update_scalar(hub, 'train/loss', torch.tensor(0.5))
    assert hub.get_scalar('train/loss').data[0].tolist() == [3.0, 0.5]
    assert hub.state_dict()['log_scalars']['train/loss'].data[1].tolist() == [1, 1]


def test_all_values_are_read_at_once(reads):
    hub = MessageHub('once')
    for step in range(50):
        losses = dict(loss=torch.tensor(step + 0.5), loss_a=torch.tensor([step + 0.25]))
        for name, value in scalar_reader(hub).keep_outputs(losses, step).items():
            assert isinstance(value, DeferredScalar)
            update_scalar(hub, f'train/{name}', value)
        # Another hook, with the same outputs.
        kept = scalar_reader(hub).keep_outputs(losses, step)
        update_scalar(hub, 'train/time', step / 8)
        assert hub.get_scalar('train/time').current() == step / 8
    assert reads == []
    assert hub.get_scalar('train/loss').current() == 49.5
    assert hub.get_scalar('train/loss_a').mean(2) == 48.75
    assert kept['loss'].value == 49.5
    assert reads == [torch.float32]


def test_history_that_nobody_reads_holds_little(reads):
    buffer = DeferredBuffer(HistoryBuffer())
    reader = ScalarReader()
    for step in range(2500):
        buffer.update(*reader.keep([torch.tensor(float(step))]))
    assert len(reads) == 2 and len(reader._waiting) == 500
    assert buffer.data[0].tolist() == list(range(2500))


def test_values_are_those_of_their_step():
    """A CUDA graph writes each step's losses to the same tensor."""
    reader = ScalarReader()
    static = torch.zeros(())
    kept = []
    for step in range(3):
        static.fill_(step)
        kept.append(reader.keep_outputs(dict(loss=static, epoch=7), step))
    assert [values['loss'].value for values in kept] == [0, 1, 2]
    assert [values['epoch'] for values in kept] == [7, 7, 7]


def test_graph_of_a_loss_is_freed():
    reader = ScalarReader()
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * 2).sum()
    freed = weakref.ref(loss)
    kept = reader.keep_outputs(dict(loss=loss), 0)
    assert not kept['loss'].pack.tensor.requires_grad
    del loss
    gc.collect()
    assert freed() is None and kept['loss'].value == 6


def test_number_of_values_is_checked():
    """Losses with more than one element are refused as mmengine refuses them."""
    with pytest.raises(AssertionError):
        update_scalar(MessageHub('wrong'), 'train/loss', torch.zeros(2))
    with pytest.raises(TypeError, match='str'):
        DeferredBuffer(HistoryBuffer()).update('a')


# -- runs -----------------------------------------------------------------------
class CurrentLoss(Hook):
    """Reads a loss in each step, which a hook of a user may do."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, *args, **kwargs):
        self.seen.append(float(runner.message_hub.get_scalar('train/loss').current()))


def config(folder, hook, **options):
    # A log line after each second step, and one at the end of an epoch.
    return tiny_config(
        folder,
        default_hooks__runtime_info=dict(type=hook),
        default_hooks__logger=dict(type='LoggerHook', interval=2, ignore_last=False),
        optim_wrapper__clip_grad=dict(max_norm=0.5),
        **options,
    )


def logged(folder):
    """All numbers that a run wrote, without its times."""
    lines = []
    for path in sorted(folder.rglob('scalars.json')):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    history = json.loads((folder / 'history.json').read_text())
    for entry in [*lines, *history]:
        for name in ('time', 'data_time', 'memory', 'seconds'):
            entry.pop(name, None)
    return lines, history


def stored(path):
    """Training histories in a checkpoint, in order, and what else the hub has."""
    hub = torch.load(path, weights_only=True)['message_hub']
    # mmengine saves before it validates, so a resumed run lacks one validation.
    scalars = {
        name: {key: torch.as_tensor(value).tolist() for key, value in history.items()}
        for name, history in hub['log_scalars'].items()
        if not name.startswith('val/')
    }
    for name in ('train/time', 'train/data_time'):
        del scalars[name]['log']
    info = hub['runtime_info']
    for name in ('eta', 'cfg', 'experiment_name', 'last_ckpt'):
        info.pop(name)
    keys = [key for key in hub['resumed_keys'] if not key.startswith('val/')]
    return list(scalars.items()), info, keys


def test_run_writes_what_mmengine_writes(tmp_path):
    """Logs, history and checkpoint, of a whole run and of a resumed one."""
    short = dict(train_cfg__max_epochs=2)
    train(config(tmp_path / 'plain', 'RuntimeInfoHook', **short))
    train(config(tmp_path / 'late', 'DeferredInfoHook', **short))
    expected = logged(tmp_path / 'plain')
    assert len(expected[0]) == 2 * 2 + 2
    assert {'loss', 'lr', 'grad_norm', 'epoch', 'iter', 'step'} <= set(expected[0][0])
    assert logged(tmp_path / 'late') == expected
    with pytest.raises(Stop):
        train(
            config(tmp_path / 'parts', 'DeferredInfoHook', **short),
            StopAt('before_train_epoch', 1),
        )
    train(config(tmp_path / 'parts', 'DeferredInfoHook', resume=True, **short))
    assert logged(tmp_path / 'parts') == expected
    first = stored(tmp_path / 'plain/epoch_2.pth')
    assert len(dict(first[0])['train/grad_norm']['log']) == 6
    for name in ('late', 'parts'):
        assert stored(tmp_path / name / 'epoch_2.pth') == first, name


def test_hook_that_reads_each_step_sees_each_loss(tmp_path):
    """No reader sees an old value."""
    first, second = CurrentLoss(), CurrentLoss()
    train(config(tmp_path / 'a', 'RuntimeInfoHook', train_cfg__max_epochs=1), first)
    train(config(tmp_path / 'b', 'DeferredInfoHook', train_cfg__max_epochs=1), second)
    assert len(set(first.seen)) == 3 and first.seen == second.seen


def test_reads_of_a_run(tmp_path, reads):
    """One read where a log line is due, and one at the end of an epoch."""
    options = dict(train_cfg__max_epochs=1, train_dataloader__batch_size=4)
    cfg = tiny_config(
        tmp_path,
        default_hooks__logger__interval=10,
        default_hooks__stop_on_nan__interval=10,
        **options,
    )
    train(cfg)
    # 24 steps: after 10, 20 and 24.
    assert reads == [torch.float32] * 3
