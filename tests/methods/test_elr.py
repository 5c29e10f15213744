"""ELR against loops and the published code; its targets and its noise score."""

import math

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import tiny_config, train
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.elr.losses import early_learning_term, label_evidence
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

C = 5


def build(num_samples=12, **options):
    """Head whose features are its logits."""
    head = MODELS.build(dict(type='ELRHead', num_classes=C, in_channels=C, **options))
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(C))
        head.fc.bias.zero_()
    head.start_training(TrainingFacts(num_samples, 1))
    return head.double()


def batch(labels, ids):
    return SampleBatch(dict(gt_label=labels), {}, dict(sample_id=ids))


@pytest.mark.parametrize('name', ['cifar10', 'cifar100', 'cifar10_asym'])
def test_equals_the_published_code(name):
    """Three batches with loss, gradient and table."""
    data = golden(f'elr_{name}')
    options = data['options']
    head = build(options['num_samples'], beta=options['beta'], weight=options['lam'])
    for given, want in zip(
        data['inputs']['steps'], data['outputs']['steps'], strict=True
    ):
        logits = given['logits'].requires_grad_()
        loss = head.loss((logits,), batch(given['target'], given['index']))['loss']
        assert_golden(loss, want['loss'])
        assert_golden(torch.autograd.grad(loss, logits)[0], want['grad'])
        assert_golden(head.table('targets'), want['table'])


# -- reference: one number at a time -------------------------------------------
def loop_loss(logits, labels, targets, beta, weight):
    """Loss of a batch; changes the lists of targets."""
    total = 0.0
    for row, label, target in zip(logits, labels, targets, strict=True):
        exps = [v.exp() for v in row]
        p = [e / sum(exps) for e in exps]
        clipped = [v.clamp(1e-4, 1 - 1e-4) for v in p]
        size = sum(v.item() for v in clipped)
        for c in range(C):
            target[c] = beta * target[c] + (1 - beta) * clipped[c].item() / size
        inner = sum(t * v for t, v in zip(target, clipped, strict=True))
        total += -p[label].log() + weight * (1 - inner).log()
    return total / len(labels)


@pytest.mark.parametrize('size', [1, 2, 4])
def test_loss_and_gradient(size):
    """Also where a probability is clipped, which has no gradient by the regulariser."""
    torch.manual_seed(0)
    head = build(beta=0.6, weight=2.0)
    ids = torch.tensor([7, 2, 9, 0])[:size]
    labels = torch.tensor([1, 4, 0, 3])[:size]
    targets = [[0.0] * C for _ in range(size)]
    for scale in (1, 8, 3):
        logits = (scale * torch.randn(size, C, dtype=torch.float64)).requires_grad_()
        got = head.loss((logits,), batch(labels, ids))['loss']
        want = loop_loss(logits, labels.tolist(), targets, 0.6, 2.0)
        torch.testing.assert_close(got, want)
        grads = (torch.autograd.grad(loss, logits)[0] for loss in (got, want))
        torch.testing.assert_close(*grads)
        table = head.table('targets')
        torch.testing.assert_close(table[ids], torch.tensor(targets).to(table))
    assert table.sum(dim=1).count_nonzero() == size


def test_targets_of_other_samples_stay():
    head = build()
    head.rows('targets', torch.tensor([0]), torch.zeros(1).double())
    head.write('targets', torch.tensor([3]), torch.full((1, C), 0.2).double())
    before = head.table('targets').clone()
    head.loss(
        (torch.randn(1, C).double(),), batch(torch.tensor([0]), torch.tensor([5]))
    )
    changed = (head.table('targets') != before).any(dim=1)
    assert changed.nonzero().tolist() == [[5]]


def test_bounds_of_the_term():
    sure = torch.eye(C).clamp(1e-4, 1 - 1e-4)
    term = early_learning_term(torch.eye(C), sure)
    assert term.isfinite().all() and (term > -9.3).all() and (term < -9.2).all()
    assert early_learning_term(torch.zeros(C, C), sure).eq(0).all()


def test_float32_within_autocast():
    head = build().float()
    features, labels = torch.randn(4, C), torch.tensor([0, 1, 2, 3])
    samples = batch(labels, torch.arange(4))
    want = head.loss((features,), samples)['loss']
    head.start_training(TrainingFacts(12, 1))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = head.loss((features,), samples)['loss']
    assert torch.equal(got, want)


def test_samples_without_a_number_are_refused():
    with pytest.raises(ValueError, match='ELRHead needs the sample_id'):
        build().loss((torch.zeros(1, C).double(),), [DataSample().set_gt_label(0)])


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(beta=1.0), r'ELRHead: beta must lie in \[0, 1\), got 1.0'),
        (dict(weight=-1), 'ELRHead: weight must be a number of at least 0, got -1'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


# -- noise score ---------------------------------------------------------------
def test_noise_score():
    """By the target; by the prediction where a sample was never trained on."""
    head = build(4)
    table = head.table('targets')
    # After one epoch with beta 0.9 the average has the sum 0.1.
    table[0] = torch.tensor([0.08, 0.02, 0, 0, 0])
    table[2] = torch.tensor([0.1, 0.9, 0, 0, 0])
    table[3] = torch.tensor([0.4, 0.5, 0.1, 0, 0])
    scores = torch.tensor([[0.2] * C, [0.6, 0.1, 0.1, 0.1, 0.1], [0.2] * C, [0.2] * C])
    found = head.score_labels(
        dict(pred_score=scores, sample_id=torch.arange(4)), torch.zeros(4).long()
    )
    torch.testing.assert_close(found['noise_score'], torch.tensor([0.2, 0.4, 0.9, 0.6]))
    # In the last, the other label is hardly more probable.
    assert found['suggested_label'].tolist() == [0, 0, 1, 0]


def test_evidence_is_a_distribution():
    torch.manual_seed(0)
    targets = torch.rand(6, C) / C
    targets[::2] = 0
    scores = torch.rand(6, C).softmax(dim=1)
    evidence = label_evidence(targets, scores)
    torch.testing.assert_close(evidence.sum(dim=1), torch.ones(6))
    assert torch.equal(evidence[::2], scores[::2])


def test_trains(tmp_path):
    cfg = tiny_config(tmp_path, 'elr/elr_r18_synthfaces_noise30')
    head = train(cfg).model.head
    # Three predictions of each sample.
    sums = head.table('targets').sum(dim=1)
    torch.testing.assert_close(sums, torch.full((96,), 1 - math.pow(head.beta, 3)))
    lines = (tmp_path / 'sample_scores.csv').read_text().splitlines()
    assert len(lines) == 97
