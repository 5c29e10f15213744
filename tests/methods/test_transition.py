"""Loss correction against loops and published values; the estimate in a run."""

import csv

import pytest
import torch
import torch.nn.functional as F
from golden_peers import assert_golden, golden
from helpers import CopyAt, assert_same_state, tiny_config, train
from mmengine.logging import MMLogger

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.transition.losses import (
    anchor_transition,
    backward_loss,
    clean_posterior,
    forward_loss,
)
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

CORRECTIONS = ['forward', 'backward', 'reweight']
LABELS = [0, 2, 1, 1, 0]
MATRIX = [[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.1, 0.6]]


def build(num_classes=3, in_channels=4, started=True, **options):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='TransitionHead',
            num_classes=num_classes,
            in_channels=in_channels,
            **options,
        )
    )
    if started:
        head.start_training(TrainingFacts(16, 24))
    return head


def samples(labels):
    return SampleBatch(dict(gt_label=torch.as_tensor(labels)))


def features(count=5):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


# -- published values ----------------------------------------------------------
@pytest.mark.parametrize('correction', CORRECTIONS)
def test_equals_the_published_code(correction):
    data = golden(f'transition_{correction}')
    inputs, wanted = data['inputs'], data['outputs']
    logits, target = inputs['logits'].requires_grad_(), inputs['target']
    count = logits.shape[1]
    head = build(count, count, correction=correction).double()
    head._set(inputs['transition'])
    torch.nn.init.eye_(head.fc.weight)
    torch.nn.init.zeros_(head.fc.bias)
    loss = head.loss((logits,), samples(target))['loss']
    # Some are stored as a list of one number.
    assert_golden(loss.reshape(wanted['loss'].shape), wanted['loss'])
    assert_golden(torch.autograd.grad(loss, logits)[0], wanted['grad'])

    if correction == 'reweight':
        return
    log_prob = logits.log_softmax(dim=1)
    losses = (
        forward_loss(log_prob, target, head.transition)
        if correction == 'forward'
        else backward_loss(log_prob, target, head.inverse, data['options']['clip'])
    )
    assert_golden(losses, wanted['losses'])


def test_anchors_equal_the_published_code():
    data = golden('transition_anchor')
    probs, wanted = data['inputs']['probs'], data['outputs']
    assert_golden(anchor_transition(probs), wanted['without_outlier_filter'])
    found = anchor_transition(probs, data['options']['percentile'])
    assert_golden(found, wanted['with_outlier_filter'])


# -- loops ---------------------------------------------------------------------
def loop_loss(head, x, correction):
    """One number at a time."""
    matrix = torch.tensor(MATRIX, dtype=torch.float64)
    inverse, total = torch.linalg.inv(matrix), 0.0
    for i, label in enumerate(LABELS):
        logits = [
            sum(head.fc.weight[c, d] * x[i, d] for d in range(4)) + head.fc.bias[c]
            for c in range(3)
        ]
        norm = sum(v.exp() for v in logits)
        p = [v.exp() / norm for v in logits]
        if correction == 'forward':
            total -= sum(p[k] * matrix[k, label] for k in range(3)).log()
        elif correction == 'reweight':
            given = sum(p[k] * matrix[k, label] for k in range(3))
            total -= (p[label] / given).item() * p[label].log()
        else:
            total -= sum(inverse[label, j] * p[j].log() for j in range(3))
    return total / len(LABELS)


@pytest.mark.parametrize('correction', CORRECTIONS)
def test_loss_and_gradients(correction):
    head = build(correction=correction).double()
    head._set(torch.tensor(MATRIX, dtype=torch.float64))
    x = features()
    got = head.loss((x,), samples(LABELS))['loss']
    want = loop_loss(head, x, correction)
    torch.testing.assert_close(got, want)
    inputs = (x, head.fc.weight, head.fc.bias)
    for a, b in zip(
        torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_backward_correction_is_unbiased():
    """Its mean over given labels is the cross-entropy of the true label."""
    log_prob = features().detach()[:, :3].log_softmax(dim=1)
    matrix = torch.tensor(MATRIX, dtype=torch.float64)
    inverse = torch.linalg.inv(matrix)
    losses = torch.stack(
        [backward_loss(log_prob, torch.full((5,), j), inverse) for j in range(3)], 1
    )
    torch.testing.assert_close(losses @ matrix.T, -log_prob)


@pytest.mark.parametrize('correction', CORRECTIONS)
def test_the_identity_is_cross_entropy(correction):
    head, x = build(correction=correction).double(), features()
    loss = head.loss((x,), samples(LABELS))['loss']
    want = F.cross_entropy(head.fc(x), torch.tensor(LABELS))
    torch.testing.assert_close(loss, want)


@pytest.mark.parametrize('correction', CORRECTIONS)
def test_extreme_logits(correction):
    """Certain predictions, and a class that no label has."""
    head = build(2, 2, correction=correction)
    head._set(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    torch.nn.init.eye_(head.fc.weight)
    logits = torch.tensor([[0.0, 300.0], [300.0, 0.0]], requires_grad=True)
    for label in (0, 1):
        loss = head.loss((logits,), samples([label, label]))['loss']
        assert loss.isfinite()
        assert torch.autograd.grad(loss, logits)[0].isfinite().all()


def test_outliers_are_no_anchors():
    probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    wanted = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    torch.testing.assert_close(anchor_transition(probs), wanted)
    wanted = torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    torch.testing.assert_close(anchor_transition(probs, 99), wanted)
    # Where all samples are alike, one of them must serve.
    alike = torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    torch.testing.assert_close(anchor_transition(alike, 97), alike)


def test_posterior_is_bayes_rule():
    probs = features().detach()[:, :3].softmax(dim=1)
    matrix, labels = torch.tensor(MATRIX, dtype=torch.float64), torch.tensor(LABELS)
    found = clean_posterior(probs, labels, matrix)
    for i, y in enumerate(LABELS):
        every = sum(probs[i, k] * matrix[k, y] for k in range(3))
        torch.testing.assert_close(found[i], probs[i, y] * matrix[y, y] / every)
    never = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert clean_posterior(probs[:1, :2].float(), torch.tensor([1]), never).item() == 0


# -- the head --------------------------------------------------------------------
@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(size):
    x = features(size)
    loss = build(matrix=MATRIX).double().loss((x,), samples([0] * size))['loss']
    assert torch.autograd.grad(loss, x)[0].isfinite().all()


def test_float32_within_autocast():
    head, x = build(matrix=MATRIX), features().detach().float()
    want = head.loss((x,), samples(LABELS))['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = head.loss((x,), samples(LABELS))['loss']
        rough = head.loss((x.bfloat16(),), samples(LABELS))['loss']
    assert torch.equal(got, want) and rough.dtype == torch.float32


def test_predicts_true_classes():
    head, x = build(matrix=MATRIX).double(), features()
    found = head.predict_batch((x,))
    torch.testing.assert_close(found['pred_score'], head.fc(x).float().softmax(1))
    labels = torch.tensor(LABELS)
    columns = head.score_labels(found, labels)
    wanted = 1 - clean_posterior(found['pred_score'], labels, torch.tensor(MATRIX))
    torch.testing.assert_close(columns['noise_score'], wanted)


@pytest.mark.parametrize(
    'options, message',
    [
        (
            dict(correction='both'),
            "correction must be 'forward', 'backward' or 'reweight'",
        ),
        (dict(warmup=0), r'warmup must lie in \(0, 1\), got 0'),
        (dict(percentile=100), r'percentile must lie in \(0, 100\) or be None'),
        (dict(clip=0), r'clip must lie in \(0, 0.5\), got 0'),
        (dict(matrix=[[1, 0], [0, 1]]), '3 rows of 3 probabilities each'),
        (dict(matrix=[[1, 0, 0], [0, 1]]), '3 rows of 3 probabilities each'),
        (dict(matrix='symmetric'), '3 rows of 3 probabilities each'),
        (
            dict(matrix=[[1, 0, 0], [0, 1, 0], [0, 0.5, 0]]),
            r'The rows sum to \[1.0, 1.0, 0.5\]',
        ),
        (dict(matrix=[[1.5, -0.5, 0], [0, 1, 0], [0, 0, 1]]), 'that sum to 1'),
        (
            dict(
                matrix=[[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]], correction='backward'
            ),
            "nearly singular: .* Use correction='forward'",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


# -- the estimate ----------------------------------------------------------------
@pytest.mark.parametrize(
    'warmup, max_epochs, epoch',
    [(0.2, 24, 5), (0.2, 2, 1), (0.01, 60, 1), (0.99, 10, 9), (0.5, 100, 50)],
)
def test_schedule(warmup, max_epochs, epoch):
    head = build(warmup=warmup)
    head.start_training(TrainingFacts(16, max_epochs))
    assert [e for e in range(max_epochs) if head.refresh_due(e)] == [epoch]


def test_runs_without_an_estimate():
    with pytest.raises(ValueError, match='has one epoch. Train .* model.head.matrix'):
        build().start_training(TrainingFacts(16, 1))
    with pytest.raises(ValueError, match='has iterations instead of epochs'):
        build().start_training(TrainingFacts(16, None))
    head = build(matrix=MATRIX, started=False)
    head.start_training(TrainingFacts(16, None))
    assert not any(head.refresh_due(epoch) for epoch in range(9))


def test_without_the_hook():
    """The loss would stay uncorrected, without a word."""
    feats = (features().detach().float(),)
    with pytest.raises(RuntimeError, match='TransitionHead .* add sample_state=dict'):
        build(started=False).loss(feats, samples(LABELS))
    build(started=False, matrix=MATRIX).loss(feats, samples(LABELS))


@pytest.mark.parametrize('matrix', [None, MATRIX])
def test_a_loaded_matrix_is_not_used(matrix):
    """``load_from`` gives a head the matrix of another run, a resume its own."""
    head, other = build(matrix=matrix), build(matrix=torch.full((3, 3), 1 / 3).tolist())
    own = {name: value.clone() for name, value in head.named_buffers()}
    head.load_state_dict(other.state_dict())
    head.start_epoch(0)
    for name, value in head.named_buffers():
        assert torch.equal(value, own[name]), name
    head.load_state_dict(other.state_dict())
    head.start_epoch(2)
    assert torch.equal(head.transition, other.transition)


def test_a_singular_estimate_warns(monkeypatch):
    lines = []

    class Logger:
        info = warning = staticmethod(lines.append)

    head = build(2, correction='backward')
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: Logger)
    scores = torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    head.refresh(torch.tensor([0, 1]), scores, torch.tensor([0, 1]))
    assert '0.50, 0.50' in lines[0] and 'nearly singular' in lines[1]
    assert head.inverse.isfinite().all()


def test_trains_and_resumes(tmp_path):
    def config(folder, **options):
        cfg = tiny_config(
            tmp_path / folder, 'transition/transition_r18_synthfaces_noise30', **options
        )
        for loader in ('train_dataloader', 'val_dataloader'):
            cfg[loader].collate_fn = dict(type='fer_collate')
        cfg.test_dataloader = cfg.val_dataloader
        return cfg

    copy = CopyAt('before_train_epoch', 2, tmp_path / 'parts')
    whole = train(config('whole'), copy)
    matrix = whole.model.head.transition
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(7))
    assert not torch.equal(matrix, torch.eye(7))
    with open(tmp_path / 'whole/sample_scores.csv', newline='') as file:
        scores = [float(row['noise_score']) for row in csv.DictReader(file)]
    assert len(scores) == 96 and 0 <= min(scores) < max(scores) <= 1
    resumed = train(config('parts', resume=True))
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
