"""ELR+ against loops and the published code; averaged weights, mixing and resume."""

import math

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import (
    TINY_CLASSIFIER,
    Stop,
    StopAfter,
    assert_same_state,
    begin_training,
    tiny_config,
    train,
)
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.elr.losses import average_targets, elr_plus_loss, ramp
from mmfer.models.mixup import mix_rows
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

C = 5
NAME = 'elr/elr_r18_synthfaces_noise30_plus'


@pytest.mark.parametrize('name', ['cifar10', 'ramped'])
def test_equals_the_published_code(name):
    """Two batches with loss, gradient, table and mixed targets."""
    data = golden(f'elr_plus_{name}')
    options = data['options']
    table = torch.zeros(options['num_samples'], C, dtype=torch.float64)
    steps = zip(data['inputs']['steps'], data['outputs']['steps'], strict=True)
    for given, want in steps:
        ids, share = given['index'], given['mix']
        table[ids] = average_targets(
            table[ids], given['logits_ema'].softmax(1), options['beta']
        )
        assert_golden(table, want['table'])
        targets = mix_rows(table[ids], table[ids][given['mix_index']], share)
        assert_golden(targets, want['q'])
        weight = options['lam'] * ramp(given['iteration'], options['coef_step'])
        logits = given['logits'].requires_grad_()
        loss = elr_plus_loss(logits, given['target_mixed'], targets, weight)
        assert_golden(loss, want['loss'])
        assert_golden(torch.autograd.grad(loss, logits)[0], want['grad'])


@pytest.mark.parametrize('refine', [False, True])
def test_loss_is_a_loop(refine):
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 4, C, dtype=torch.float64)
    targets, labels = 0.9 * targets.softmax(1), torch.zeros(4, C).double()
    labels[range(4), [0, 1, 2, 3]] += 0.7
    labels[range(4), [1, 1, 0, 4]] += 0.3
    total = 0.0
    for i in range(4):
        exps = [math.exp(v) for v in logits[i].tolist()]
        p = [v / sum(exps) for v in exps]
        y, t = labels[i].tolist(), targets[i].tolist()
        if refine:
            y = [a * b for a, b in zip(y, t, strict=True)]
            y = [v / sum(y) for v in y]
        total -= sum(a * math.log(b) for a, b in zip(y, p, strict=True)) / 4
        inner = sum(a * b for a, b in zip(t, p, strict=True))
        total += 2 * math.log(1 - inner) / 4
    got = elr_plus_loss(logits, labels, targets, 2.0, refine)
    assert got.item() == pytest.approx(total)


def test_labels_that_the_targets_exclude():
    """A target of 0 for both labels: nothing is divided by 0."""
    targets = torch.eye(C)[:1]
    labels = torch.eye(C)[1:2]
    logits = torch.zeros(1, C, requires_grad=True)
    loss = elr_plus_loss(logits, labels, targets, 1.0, refine_labels=True)
    assert loss.isfinite() and torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_ramp():
    for step, length, want in ((0, 0, 1), (9, 0, 1), (0, 4, math.exp(-5)), (9, 4, 1)):
        assert ramp(step, length) == pytest.approx(want)
    assert ramp(1, 4) == pytest.approx(math.exp(-5 * 0.75**2))


def build(**options):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='ELRPlus',
            network1=TINY_CLASSIFIER,
            data_preprocessor=dict(input_shape=(1, 32, 32), num_classes=C),
            **options,
        )
    )
    model.init_weights()
    begin_training(model, num_samples=12)
    return model.train()


def batch(count=4):
    torch.manual_seed(1)
    labels = torch.arange(count) % C
    samples = SampleBatch(
        dict(gt_label=labels), {}, dict(sample_id=torch.arange(count))
    )
    return dict(
        inputs=torch.randint(256, (count, 1, 32, 32)).byte(), data_samples=samples
    )


def test_averaged_weights():
    """Of this network, by a momentum that rises; they have no gradients."""
    model = build(momentum=0.9, momentum_steps=4)
    assert all(not p.requires_grad for a in model.averaged for p in a.parameters())
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    wanted = [[p.clone() for p in n.parameters()] for n in model.networks]
    for step in range(6):
        momentum = 0.9 * math.exp(-5 * max(1 - step / 4, 0) ** 2)
        for network, rows in zip(model.networks, wanted, strict=True):
            for i, p in enumerate(network.parameters()):
                rows[i] = momentum * rows[i] + (1 - momentum) * p.detach()
        model.train_step(batch(), wrapper)
        for averaged, rows in zip(model.averaged, wanted, strict=True):
            for p, want in zip(averaged.parameters(), rows, strict=True):
                torch.testing.assert_close(p, want, rtol=1e-4, atol=1e-6)
    assert model.steps == 6


def test_averages_begin_with_loaded_weights(tmp_path):
    """Hooks tell of the training before weights are initialised or loaded."""
    model = build(momentum=0.9, momentum_steps=0)
    for network in model.networks:
        torch.nn.init.constant_(network.head.fc.weight, 0.5)
        network.backbone.bn1.running_mean.fill_(1e6)
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    model.train_step(batch(), wrapper)
    for averaged in model.averaged:
        assert (averaged.head.fc.weight == 0.5).all()
        # The first batch has moved it by a tenth.
        assert (averaged.backbone.bn1.running_mean > 8e5).all()


def test_targets_come_from_the_other_network():
    model = build(beta=0.5)
    samples = model.data_preprocessor(batch(), True)
    model.loss(**samples)
    with torch.no_grad():
        scores = [a(samples['inputs']).softmax(1) for a in model.averaged]
    for k in (0, 1):
        torch.testing.assert_close(
            model.table(f'targets{k + 1}')[:4],
            0.5 * scores[1 - k],
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.parametrize('mixup', [0.0, 1.0])
def test_images_are_mixed(mixup):
    """Each network has draws of its own, the same for the same step."""
    model = build(mixup=mixup)
    seen = []
    for network in model.networks:
        network.backbone.register_forward_pre_hook(
            lambda _, args: seen.append(args[0].detach().clone())
        )
    samples = model.data_preprocessor(batch(), True)
    for step in (3, 3, 4):
        set_step(0, step)
        model.loss(**samples)
    clear_step()
    plain = model.network1.fitting(samples['inputs'])
    for images in seen:
        assert torch.equal(images, plain) == (not mixup)
    assert torch.equal(seen[0], seen[2]) and torch.equal(seen[1], seen[3])
    assert torch.equal(seen[0], seen[1]) == torch.equal(seen[0], seen[4]) == (not mixup)


@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(size):
    model = build().eval()
    losses = model.loss(**model.data_preprocessor(batch(size), True))
    assert all(value.isfinite() for value in losses.values())


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(beta=1), r'ELRPlus: beta must lie in \[0, 1\), got 1'),
        (dict(weight=-1), 'ELRPlus: weight must be'),
        (dict(momentum=1), 'ELRPlus: momentum must lie'),
        (dict(mixup=-1), 'ELRPlus: mixup must be'),
        (dict(ramp_steps=-1), 'ELRPlus: ramp_steps must be a whole number'),
        (dict(momentum_steps=0.5), 'ELRPlus: momentum_steps must be a whole number'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_run_shorter_than_a_ramp(monkeypatch):
    lines = []

    class Logger:
        warning = staticmethod(lines.append)

    model = build(momentum_steps=100, ramp_steps=10)
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: Logger)
    model.start_training(TrainingFacts(12, 9, max_steps=100))
    assert not lines
    model.start_training(TrainingFacts(12, 9, max_steps=50))
    assert len(lines) == 1 and 'momentum_steps=100, but the run has 50' in lines[0]
    assert 'ends at 29%' in lines[0]


def test_noise_score():
    model = build()
    model.table('targets1')[:2, :2] = torch.tensor([[0.1, 0.1], [0.0, 0.0]])
    model.table('targets2')[:2, :2] = torch.tensor([[0.2, 0.6], [0.0, 0.0]])
    scores = torch.tensor([[0.2] * C, [0.6, 0.1, 0.1, 0.1, 0.1]])
    found = model.score_labels(
        dict(pred_score=scores, sample_id=torch.arange(2)), torch.zeros(2).long()
    )
    torch.testing.assert_close(found['noise_score'], torch.tensor([0.7, 0.4]))
    assert found['suggested_label'].tolist() == [1, 0]


@pytest.mark.slow
def test_resumes_inside_an_epoch(tmp_path):
    def run(folder, *hooks, **options):
        cfg = tiny_config(
            tmp_path / folder,
            NAME,
            train_cfg__max_epochs=2,
            param_scheduler__milestones=[1],
            default_hooks__checkpoint__save_iters=4,
            **options,
        )
        for loader in ('train_dataloader', 'val_dataloader'):
            cfg[loader].collate_fn = dict(type='fer_collate')
        cfg.test_dataloader = cfg.val_dataloader
        return train(cfg, *hooks).model

    whole = run('whole')
    with pytest.raises(Stop):
        run('parts', StopAfter(5))
    resumed = run('parts', resume=True)
    assert_same_state(whole.state_dict(), resumed.state_dict())
    assert_same_state(whole.sample_state(), resumed.sample_state())
