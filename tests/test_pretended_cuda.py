"""Nothing mixes devices or reads a value on the host where it need not.

On a pretended CUDA device, see ``pretended_cuda``; a GPU is not needed. Where
values are read on the host after all is said in ``docs/reproducibility.md``.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CONFIGS, LATE, begin_training
from mmengine.config import Config
from mmengine.hooks import IterTimerHook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from pretended_cuda import CUDA, OverlapGuard, can_pretend, move, pretended_cuda
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils.data import DataLoader

from mmfer.datasets.batches import SampleBatch
from mmfer.engine import DeferredInfoHook, StopOnNaNHook
from mmfer.methods.gaave.attack import PGD, attack_once, look_once, new_pool
from mmfer.methods.gaave.pixels import pixel_classifier, to_unit_range
from mmfer.methods.jointgan import label_sets as gan_label_sets
from mmfer.models import label_sets
from mmfer.models.dual_network import DualNetwork
from mmfer.models.label_noise_model import MONOTONE, flatten_tails
from mmfer.models.sample_state import followers
from mmfer.registry import MODELS

# Of configs that differ in their data alone, one; those of GAAVE train what
# others do. One more has three annotators.
NAMES = list(
    {
        str(Config.fromfile(path).model): f'{path.parent.name}/{path.stem}'
        for path in sorted(Path(CONFIGS).glob('*/*_synthfaces*.py'))
        if path.parent.name != 'gaave'
    }.values()
) + ['jointgan/jointgan_vgg16_cifar10_multinoise_small']


@pytest.fixture(scope='module')
def pretends():
    if not can_pretend():
        pytest.skip('this torch cannot pretend a CUDA device')


def build(name):
    cfg = Config.fromfile(f'{CONFIGS}/{name}.py')
    cfg.model.data_preprocessor = cfg.data_preprocessor
    return cfg, MODELS.build(cfg.model)


def make_batch(cfg, size=8):
    """A batch on the host, as ``default_collate`` makes it."""
    head = cfg.model.get('encoder', cfg.model).get('head', {})
    sets = [x for x in head.get('label_sets', ()) if x != 'va']
    sets = sets or [7] * head.get('annotators', 1)
    packed = cfg.train_dataloader.dataset.pipeline[-1].get('algorithm_keys', ())
    shape = size, *cfg.data_preprocessor.input_shape
    samples = []
    for i in range(size):
        sample = DataSample(metainfo=dict(sample_id=i)).set_gt_label(i % 7)
        # One sample misses a value.
        sample.set_field(
            np.array([0.5, np.nan if i == 3 else -0.5], np.float32), 'gt_va'
        )
        if len(sets) > 1:
            sample.set_field(np.full(len(sets), i % 7), 'gt_label_sets')
        if 'second_view' in packed:
            sample.set_field(torch.zeros(shape[1:], dtype=torch.uint8), 'second_view')
        samples.append(sample)
    return dict(inputs=torch.zeros(shape, dtype=torch.uint8), data_samples=samples)


def pretend_batch(batch, model, mode):
    """A batch of tensors on the host, as ``fer_collate`` makes it.

    Args:
        batch (dict): Images and data samples with values.
        model (nn.Module): Model that trains on it.
        mode (FakeTensorMode): Mode of the pretended device.
    """
    samples = batch['data_samples']
    parts = [dict(gt_label=samples.gt_label), {}, {}]
    # A head of mmpretrain makes a data sample of each row, and would read the
    # fields on the host. Give it those that no other model reads.
    head = getattr(getattr(model, 'encoder', model), 'head', None)
    if hasattr(head, 'label_sets') or hasattr(head, 'annotators'):
        parts[1] = samples._arrays
    if 'second_view' in samples:
        parts[0]['second_view'] = samples.second_view
    if isinstance(model, DualNetwork) or any(followers(model)):
        parts[2] = dict(sample_id=samples.sample_id)
    pretend = mode.from_tensor
    return dict(
        inputs=pretend(batch['inputs']),
        data_samples=SampleBatch(
            *({name: pretend(value) for name, value in part.items()} for part in parts)
        ),
    )


def build_runner(name, work_dir, **options):
    """Runner of a config with all its hooks, in an epoch of 100 batches."""
    cfg = Config.fromfile(f'{CONFIGS}/{name}.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': f'{work_dir.name}_{name}',
            'val_cfg': None,
            'val_dataloader': None,
            'val_evaluator': None,
            'test_cfg': None,
            'test_dataloader': None,
            'test_evaluator': None,
            'log_level': 'ERROR',
            **options,
        }
    )
    # Its counter of steps is on the CPU, where a read is no wait.
    cfg.custom_hooks = [
        hook for hook in cfg.get('custom_hooks', []) if hook['type'] != 'EMAHook'
    ]
    # The batches come from the test.
    loader, cfg.train_dataloader = (
        cfg.train_dataloader,
        DataLoader(range(800), batch_size=8),
    )
    runner = Runner.from_cfg(cfg)
    cfg.train_dataloader = loader
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    for hook in runner.hooks:
        if isinstance(hook, (IterTimerHook, StopOnNaNHook, DeferredInfoHook)):
            hook.before_train(runner)
            hook.before_train_epoch(runner)
    return cfg, runner


def pretend_gradients(self, loss, **kwargs):
    """Set all gradients; the engine of autograd wants a driver."""
    assert loss.device == CUDA and loss.shape == () and loss.requires_grad
    self._inner_count += 1
    for group in self.optimizer.param_groups:
        for parameter in group['params']:
            parameter.grad = torch.ones_like(parameter)


@pytest.mark.usefixtures('pretends')
@pytest.mark.parametrize('name', NAMES)
def test_train_step_and_prediction(name, tmp_path, monkeypatch):
    """Iterations of the train loop, with all hooks, read nothing."""
    monkeypatch.setattr(OptimWrapper, 'backward', pretend_gradients)
    options = {
        'optim_wrapper.type': 'AutocastOptimWrapper',
        'optim_wrapper.clip_grad': dict(max_norm=1.0),
    }
    for epoch in (0, 1):
        cfg, runner = build_runner(name, tmp_path / str(epoch), **options)
        model = runner.model.train()
        # Between epochs values may be read.
        begin_training(model, LATE if epoch else 0)
        if epoch and not isinstance(model, DualNetwork) and not any(followers(model)):
            # Other models do the same in every epoch.
            break
        batch = make_batch(cfg)
        batch['data_samples'] = SampleBatch.from_samples(batch['data_samples'])
        # Labels that stay on the host have values there.
        arrays = {k: v.numpy() for k, v in batch['data_samples']._arrays.items()}
        for module in (label_sets, gan_label_sets):
            monkeypatch.setattr(
                module, 'stack_array', lambda samples, name, found=arrays: found[name]
            )
        with pretended_cuda() as mode:
            move(model, mode)
            runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
            if runner.param_schedulers is not None:
                runner.param_schedulers = runner.build_param_scheduler(
                    runner.param_schedulers
                )
            runner.train_loop.run_iter(0, make_batch(cfg))
            runner.train_loop.run_iter(1, pretend_batch(batch, model, mode))
            history = runner.message_hub.get_scalar('train/loss')
            # This would be a read.
            with pytest.raises(DataDependentOutputException):
                history.current()
            model.eval()
            for sample in model.val_step(make_batch(cfg)):
                assert sample.uncertainty.device == CUDA


@pytest.mark.usefixtures('pretends')
@pytest.mark.parametrize(
    'name', ['ce/ce_r18_synthfaces', 'resup/resup_r18_synthfaces_noise30']
)
def test_attack(name, monkeypatch):
    """Passes of GAAVE's attack: nothing is read on the host."""
    # The pretended device has no backward pass.
    monkeypatch.setattr(
        torch.autograd, 'grad', lambda loss, images: (torch.zeros_like(images),)
    )
    cfg, model = build(name)
    model = getattr(model, 'network1', model).eval()
    attack = PGD()
    with pretended_cuda() as mode:
        move(model, mode)
        batch = make_batch(cfg)
        images = to_unit_range(batch['inputs']).to(CUDA)
        labels = torch.cat([s.gt_label for s in batch['data_samples']]).to(CUDA)
        pool = new_pool(torch.arange(8).to(CUDA), images, labels)
        predict = pixel_classifier(model)
        # Passes may be smaller or larger than the pool.
        for batch_size in (4, 16):
            attack_once(predict, pool, attack, batch_size, recross=False)
            look_once(predict, pool, attack, batch_size)
        for field in pool:
            assert field.device == CUDA and len(field) == 8


@pytest.mark.parametrize('mode', MONOTONE)
@pytest.mark.parametrize(
    'table',
    [
        [0.1, 0.4, 0.9, 0.9, 0.3],
        [0.7, 0.2, 0.1, 0.5, 0.9],
        [0.9, 0.5, 0.2, 0.3, 0.6],
        [0.1, 0.2, 0.3, 0.4, 0.5],
    ],
)
def test_tails_are_flattened_without_overlap(mode, table):
    """As a loop does it, and by nothing that CUDA would refuse."""
    want = list(table)
    if mode == 'left' or (mode == 'both' and want[-1] > min(want)):
        lowest = want.index(min(want))
        want[:lowest] = [want[lowest]] * lowest
    else:
        lowest = 0
    if mode in ('right', 'both'):
        peak = lowest + want[lowest:].index(max(want[lowest:]))
        want[peak:] = [want[peak]] * (len(want) - peak)
    given = torch.tensor(table)
    with OverlapGuard():
        got = flatten_tails(given, mode)
    assert got.tolist() == torch.tensor(want).tolist()
    assert given.tolist() == torch.tensor(table).tolist()


def test_guard_finds_what_cuda_refuses():
    table = torch.arange(6.0)
    with OverlapGuard():
        with pytest.raises(RuntimeError, match='clone'):
            table[2:] = table[2]
        with pytest.raises(RuntimeError, match='clone'):
            table[1:] = table[:-1]
        table[2:] = table[2].clone()
        table[:2] = table[4:]
        table += table
    assert table.tolist() == [4.0, 4.0, 4.0, 4.0, 4.0, 4.0]


@pytest.mark.usefixtures('pretends')
def test_pretended_device_refuses():
    with pretended_cuda():
        here, there = torch.ones(2), torch.ones(2, device=CUDA)
        with pytest.raises(RuntimeError, match='device'):
            here + there
        with pytest.raises(DataDependentOutputException):
            there.sum().item()
