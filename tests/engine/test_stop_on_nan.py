"""A loss that is not finite stops the run before its weights are saved."""

import math
import weakref
from types import SimpleNamespace

import pytest
import torch
from helpers import tiny_config, train
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch
from mmfer.engine import StopOnNaNHook
from mmfer.engine.deferred_scalars import ScalarReader
from mmfer.engine.hooks import stop_on_nan


class BreakWeights(Hook):
    """Set the weights of the classifier to a value before an iteration."""

    def __init__(self, iteration, value=math.nan):
        self.iteration, self.value = iteration, value

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            runner.model.head.fc.weight.data.fill_(self.value)


class FakeRunner(SimpleNamespace):
    """What the hook uses of a runner, with epochs of 25 batches."""

    def __init__(self, hook, *others, max_iters=100):
        super().__init__(
            message_hub=MessageHub('fake'),
            train_dataloader=range(25),
            hooks=[hook, *others],
            iter=0,
            epoch=0,
            max_iters=max_iters,
        )
        self.hook = hook
        hook.before_train(self)

    def step(self, samples=None, **outputs):
        """One iteration: the hook sees its outputs."""
        outputs = {name: torch.as_tensor(value) for name, value in outputs.items()}
        batch = dict(inputs=torch.zeros(2), data_samples=samples)
        self.hook.after_train_iter(self, self.iter % 25, batch, outputs)
        self.iter += 1
        self.epoch = self.iter // 25


def samples_of(step):
    return [DataSample(metainfo=dict(sample_id=10 * step + i)) for i in range(2)]


def test_first_bad_step_is_named(tmp_path):
    """The run is stopped at the end of the epoch, before its checkpoint."""
    with pytest.raises(
        FloatingPointError,
        match=r'the loss is nan in epoch 2, batch 2 of 3 \(iteration 5\): .*'
        r'loss=nan.*Samples of the batch: \[(\d+, ){31}\d+\].*trained on 1 more batch'
        '.*clip_grad.*new run with a lower',
    ):
        train(tiny_config(tmp_path), BreakWeights(4))
    assert (tmp_path / 'epoch_1.pth').is_file()
    assert not (tmp_path / 'epoch_2.pth').is_file()


@pytest.mark.parametrize('interval, bad', [(1, 3), (4, 0), (4, 3), (10, 12)])
def test_check_at_the_interval(interval, bad):
    """Losses before and after the first bad one do not matter."""
    runner = FakeRunner(StopOnNaNHook(interval))
    reported = bad - bad % interval + interval - 1
    for step in range(reported):
        loss = [math.nan, math.inf, 1.0][step % 3] if step > bad else 2.0
        runner.step(samples_of(step), loss=math.nan if step == bad else loss)
    with pytest.raises(FloatingPointError) as caught:
        runner.step(
            samples_of(reported), loss=math.nan if bad == reported else 1.0, other=3.0
        )
    message = str(caught.value)
    assert f'(iteration {bad + 1})' in message
    assert f'Samples of the batch: [{10 * bad}, {10 * bad + 1}]' in message
    later = reported - bad
    assert (f'trained on {later} more batch' in message) == bool(later)
    assert ('other=3' in message) == (not later)


@pytest.mark.parametrize(
    'point, arguments',
    [
        ('before_save_checkpoint', [{}]),
        ('before_val', []),
        ('after_train_epoch', []),
        ('after_train', []),
    ],
)
def test_check_before_anything_is_kept(point, arguments):
    runner = FakeRunner(StopOnNaNHook(1000))
    runner.step(loss=1.0)
    getattr(runner.hook, point)(runner, *arguments)
    runner.step(loss=-math.inf)
    with pytest.raises(FloatingPointError, match='the loss is -inf .*iteration 2'):
        getattr(runner.hook, point)(runner, *arguments)


def test_ids_in_one_tensor():
    """A batch of tensors has no list of data samples."""
    runner = FakeRunner(StopOnNaNHook(1))
    batch = SampleBatch.from_samples(samples_of(7))
    with pytest.raises(FloatingPointError, match=r'\[70, 71\]'):
        runner.step(batch, loss=math.nan)
    with pytest.raises(FloatingPointError, match=r'Samples of the batch: \[\]'):
        runner.step(None, loss=math.nan)


def test_loss_of_a_discriminator():
    runner = FakeRunner(StopOnNaNHook(2))
    # Only what is minimised must be finite.
    runner.step(loss=1.0, accuracy=math.nan)
    with pytest.raises(FloatingPointError, match='the d_loss is inf.*iteration 2'):
        runner.step(loss=1.0, d_loss=math.inf)


def test_images_are_not_kept():
    """Ten batches of images would fill the memory."""
    runner = FakeRunner(StopOnNaNHook(10))
    images = torch.zeros(2)
    freed = weakref.ref(images)
    outputs = dict(loss=torch.tensor(1.0))
    runner.hook.after_train_iter(runner, 0, dict(inputs=images), outputs)
    del images
    assert freed() is None


def test_reads(monkeypatch):
    """One read per interval; nothing is kept after it."""
    reads = []
    read = ScalarReader.read
    monkeypatch.setattr(
        ScalarReader,
        'read',
        lambda self: (reads.append(len(self._waiting)), read(self)),
    )
    runner = FakeRunner(StopOnNaNHook())
    for _ in range(30):
        runner.step(loss=1.0, loss_a=2.0)
    assert reads == [10, 10, 10] and not runner.hook._steps


def test_checkpoints_within_an_epoch(tmp_path):
    """They are checked, whatever the interval is."""
    cfg = tiny_config(
        tmp_path,
        train_dataloader__batch_size=8,
        default_hooks__stop_on_nan__interval=1000,
    )
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=3, max_keep_ckpts=-1)
    with pytest.raises(FloatingPointError, match=r'iteration 8\).*on 1 more batch'):
        train(cfg, BreakWeights(7))
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == [
        'iter_3.pth',
        'iter_6.pth',
    ]


@pytest.mark.parametrize('broken', [False, True])
def test_processes_stop_together(monkeypatch, broken):
    """A process that stopped alone would let the others wait."""
    flags = []

    def all_reduce(flag, op):
        assert op == 'max'
        flags.append(float(flag))
        # One of the others has a loss that is not finite.
        flag.fill_(1)

    monkeypatch.setattr(stop_on_nan, 'get_world_size', lambda: 2)
    monkeypatch.setattr(stop_on_nan, 'all_reduce', all_reduce)
    hook = StopOnNaNHook(1000)
    saver = CheckpointHook(interval=3, by_epoch=False)
    runner = FakeRunner(hook, saver)
    runner.step(loss=1.0)
    runner.step(loss=math.nan if broken else 1.0)
    # Only one process writes the checkpoint, so all ask before it.
    with pytest.raises(
        FloatingPointError,
        match='is nan .*iteration 2' if broken else 'another process.*iteration 3',
    ):
        runner.step(loss=1.0)
    assert flags == [float(broken)]


@pytest.mark.parametrize('broken', [False, True])
def test_a_process_that_saves_alone_still_meets_the_others(monkeypatch, broken):
    """All wait for it at the next check, which must not be skipped."""
    flags = []
    monkeypatch.setattr(stop_on_nan, 'get_world_size', lambda: 2)
    monkeypatch.setattr(
        stop_on_nan, 'all_reduce', lambda flag, op: flags.append(float(flag))
    )
    runner = FakeRunner(StopOnNaNHook(1000))
    runner.step(loss=math.nan if broken else 1.0)
    if broken:
        with pytest.raises(FloatingPointError, match='iteration 1'):
            runner.hook.before_save_checkpoint(runner, {})
        return
    runner.hook.before_save_checkpoint(runner, {})
    assert not flags
    runner.hook.after_train_epoch(runner)
    assert flags == [0.0] and not runner.hook._steps


def test_interval_is_checked():
    with pytest.raises(ValueError, match='interval'):
        StopOnNaNHook(0)


# -- float16 --------------------------------------------------------------------
class HalfWrapper(AmpOptimWrapper):
    """``AmpOptimWrapper`` with float16 on a CPU, where mmengine refuses it."""

    def optim_context(self, model):
        return torch.autocast('cpu', torch.float16)


@pytest.fixture
def half(monkeypatch):
    """Build a wrapper for a weight; float16 ends at 65,504."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(
        amp_optimizer_wrapper,
        'GradScaler',
        lambda **options: torch.amp.GradScaler('cpu', **options),
    )

    def build(weight, scale):
        return HalfWrapper(
            loss_scale=dict(init_scale=scale), optimizer=torch.optim.SGD([weight], 1e-3)
        )

    return build


def half_step(wrapper, weight, image):
    with wrapper.optim_context(None):
        loss = (weight @ image).squeeze()
    assert loss.dtype == torch.float16
    wrapper.update_params(loss)
    return loss.detach()


def test_gradients_that_overflow_do_not_stop(half):
    """The scaler skips these steps, lowers its scale, and the run goes on."""
    weight = torch.ones(1, 1, requires_grad=True)
    wrapper = half(weight, 2.0**17)
    runner = FakeRunner(StopOnNaNHook(1))
    scales = []
    for _ in range(5):
        before = weight.detach().clone()
        loss = half_step(wrapper, weight, torch.ones(1, 1))
        scales.append(wrapper.loss_scaler.get_scale())
        assert math.isfinite(loss) and weight.isfinite().all()
        # Which steps were skipped.
        assert torch.equal(weight, before) == (len(scales) < 3)
        runner.step(loss=float(loss))
    assert scales == [2.0**16, 2.0**15, 2.0**15, 2.0**15, 2.0**15]


def test_loss_that_overflows_stops(half):
    weight = torch.ones(1, 1, requires_grad=True)
    wrapper = half(weight, 1.0)
    runner = FakeRunner(StopOnNaNHook(1))
    loss = half_step(wrapper, weight, torch.full((1, 1), 1e5))
    with pytest.raises(FloatingPointError, match='the loss is inf'):
        runner.step(loss=float(loss))


def test_range_of_bfloat16():
    """It has that of float32, so the same loss is finite."""
    for dtype, finite in ((torch.bfloat16, True), (torch.float16, False)):
        runner = FakeRunner(StopOnNaNHook(1))
        loss = torch.tensor(1e5).to(dtype)
        if finite:
            runner.step(loss=loss)
        else:
            with pytest.raises(FloatingPointError, match='inf'):
                runner.step(loss=loss)
