"""Nothing mixes devices or reads a value on the host where it need not.

On a pretended CUDA device, see ``pretended_cuda``; a GPU is not needed. Where
values are read on the host after all is said in ``docs/reproducibility.md``.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmpretrain.structures import DataSample
from pretended_cuda import CUDA, OverlapGuard, can_pretend, move, pretended_cuda
from torch._subclasses.fake_tensor import DataDependentOutputException

from mmfer.methods.gaave.attack import PGD, attack_once, look_once, new_pool
from mmfer.methods.gaave.pixels import pixel_classifier, to_unit_range
from mmfer.models.label_noise_model import MONOTONE, flatten_tails
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

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


class NoUpdate(OptimWrapper):
    """An optimizer wrapper without autograd, whose engine wants a driver."""

    def __init__(self, model):
        super().__init__(torch.optim.SGD([p for p in model.parameters()], lr=1.0))

    def update_params(self, loss, *args, **kwargs):
        assert loss.device == CUDA and loss.shape == ()


def build(name):
    cfg = Config.fromfile(f'{CONFIGS}/{name}.py')
    cfg.model.data_preprocessor = cfg.data_preprocessor
    return cfg, MODELS.build(cfg.model)


def make_batch(cfg, size=8):
    """A batch on the host, as ``default_collate`` makes it."""
    head = cfg.model.get('encoder', cfg.model).get('head', {})
    sets = [x for x in head.get('label_sets', ()) if x != 'va']
    samples = []
    for i in range(size):
        sample = DataSample(metainfo=dict(sample_id=i)).set_gt_label(i % 7)
        # One sample misses a value.
        sample.set_field(
            np.array([0.5, np.nan if i == 3 else -0.5], np.float32), 'gt_va'
        )
        if len(sets) > 1:
            sample.set_field(np.full(len(sets), i % 7), 'gt_label_sets')
        samples.append(sample)
    shape = size, *cfg.data_preprocessor.input_shape
    return dict(inputs=torch.zeros(shape, dtype=torch.uint8), data_samples=samples)


def wrappers(model):
    if not hasattr(model, 'players'):
        return NoUpdate(model)
    return OptimWrapperDict(
        **{name: NoUpdate(player) for name, player in model.players().items()}
    )


@pytest.mark.usefixtures('pretends')
@pytest.mark.parametrize('name', NAMES)
def test_train_step_and_prediction(name):
    cfg, model = build(name)
    model.train()
    wrapper = wrappers(model)
    # The game with samples that miss nothing, and with one that does.
    epochs = (
        (0, cfg.model.get('warmup_epochs', 1))
        if hasattr(model, 'start_epoch')
        else (None,)
    )
    for epoch in epochs:
        if epoch is not None:
            # Between epochs values may be read.
            cfg, model = build(name)
            model.train().start_epoch(epoch)
            wrapper = wrappers(model)
        with pretended_cuda() as mode:
            move(model, mode)
            # ReproducibilityHook does this in a run.
            set_step(0, 0)
            log = model.train_step(make_batch(cfg), wrapper)
            clear_step()
            assert {value.device for value in log.values()} == {CUDA}
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
    if mode == 'both' and want[-1] > min(want):
        lowest = want.index(min(want))
        want[:lowest] = [want[lowest]] * lowest
    else:
        lowest = 0
    if mode != 'none':
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
