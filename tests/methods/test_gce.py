"""GCE against loops and published values; truncation in a run."""

import csv
import math

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import CopyAt, assert_same_state, tiny_config, train
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample

from mmfer.analysis.benchmarks.timed_runs import shorten
from mmfer.datasets.batches import SampleBatch
from mmfer.methods.gce.losses import generalized_cross_entropy, kept, loss_at
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

LABELS = [0, 2, 1, 1, 0]
TRUNCATED = 'gce/gce_r18_synthfaces_noise30_truncated'


def build(num_classes=3, in_channels=4, num_samples=16, **options):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='GCEHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    ).double()
    head.start_training(TrainingFacts(num_samples, 120))
    head.start_epoch(0)
    return head


def build_identity(num_classes, **options):
    """A head whose logits are its features."""
    head = build(num_classes, num_classes, **options)
    torch.nn.init.eye_(head.fc.weight)
    torch.nn.init.zeros_(head.fc.bias)
    return head


def samples(labels, ids=None):
    fields = dict(gt_label=torch.as_tensor(labels))
    if ids is not None:
        fields['sample_id'] = torch.as_tensor(ids)
    return SampleBatch(fields)


def features(count=5):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


# -- published values ----------------------------------------------------------
@pytest.mark.parametrize('name', ['gce_plain_q7', 'gce_plain_q3'])
def test_plain_loss_equals_the_published_code(name):
    data = golden(name)
    logits, target = data['inputs']['logits'], data['inputs']['target']
    head = build_identity(logits.shape[1], q=data['options']['q'])
    loss = head.loss((logits.requires_grad_(),), samples(target))['loss']
    assert_golden(loss, data['outputs']['loss'])
    assert_golden(torch.autograd.grad(loss, logits)[0], data['outputs']['grad'])


def test_truncated_loss_equals_the_published_code():
    data = golden('gce_truncated')
    inputs, wanted, options = (data[k] for k in ('inputs', 'outputs', 'options'))
    logits, target = inputs['logits'].requires_grad_(), inputs['target']
    batch = samples(target, inputs['index'])
    head = build_identity(
        logits.shape[1], q=options['q'], k=options['k'], truncate_from=0
    )
    loss = head.loss((logits,), batch)['loss']
    assert_golden(loss, wanted['loss_unit_weights'])
    grad = torch.autograd.grad(loss, logits)[0]
    assert_golden(grad, wanted['grad_unit_weights'])

    head.refresh(inputs['index'], logits.detach().softmax(dim=1), target)
    assert_golden(head.table('weight'), wanted['weights'])
    loss = head.loss((logits,), batch)['loss']
    assert_golden(loss, wanted['loss'])
    assert_golden(torch.autograd.grad(loss, logits)[0], wanted['grad'])


# -- loops ---------------------------------------------------------------------
def loop_loss(head, x, weights=None):
    """One number at a time."""
    total = 0.0
    for i, label in enumerate(LABELS):
        logits = [
            sum(head.fc.weight[c, d] * x[i, d] for d in range(4)) + head.fc.bias[c]
            for c in range(3)
        ]
        p = logits[label].exp() / sum(v.exp() for v in logits)
        loss = (1 - p**head.q) / head.q
        if weights is not None:
            loss = weights[i] * (loss - (1 - head.k**head.q) / head.q)
        total += loss
    return total / len(LABELS)


@pytest.mark.parametrize('q', [0.05, 0.7, 1])
@pytest.mark.parametrize('weights', [None, [1, 0, 1, 1, 0]])
def test_loss_and_gradients(q, weights):
    head = build(q=q, k=0.3, truncate_from=None if weights is None else 40)
    x, ids = features(), [3, 1, 0, 9, 15]
    if weights is not None:
        head.table('weight')[ids] = torch.tensor(weights).float()
    got = head.loss((x,), samples(LABELS, ids))['loss']
    want = loop_loss(head, x, weights)
    torch.testing.assert_close(got, want)
    inputs = (x, head.fc.weight, head.fc.bias)
    for a, b in zip(
        torch.autograd.grad(got, inputs), torch.autograd.grad(want, inputs), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_between_cross_entropy_and_mean_absolute_error():
    log_prob = features().detach()[:, :3].log_softmax(dim=1)
    labels = torch.tensor(LABELS)
    own = log_prob[torch.arange(5), labels]
    near_zero = generalized_cross_entropy(log_prob, labels, 1e-7)
    torch.testing.assert_close(near_zero, -own, rtol=1e-6, atol=0)
    onehot = torch.eye(3, dtype=torch.float64)[labels]
    absolute_error = (log_prob.exp() - onehot).abs().sum(dim=1)
    torch.testing.assert_close(
        generalized_cross_entropy(log_prob, labels, 1), absolute_error / 2
    )


def test_float32_at_both_ends():
    """A label that is nearly certain, and ones that are nearly impossible."""
    log_prob = torch.tensor([-2e-9, -30.0, -200.0])[:, None]
    labels = torch.zeros(3, dtype=torch.int64)

    def loss_of(values):
        values = values.clone().requires_grad_()
        losses = generalized_cross_entropy(values, labels, 0.7)
        return losses.detach(), torch.autograd.grad(losses.sum(), values)[0]

    found, wanted = loss_of(log_prob), loss_of(log_prob.double())
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=1e-6, atol=1e-7)
    # Adam divides gradients by their size, so small ones count, too.
    torch.testing.assert_close(found[1].double(), wanted[1], rtol=1e-5, atol=1e-40)


def test_kept_are_those_that_lower_the_loss():
    p = torch.linspace(0, 1, 101, dtype=torch.float64)
    for q in (0.3, 0.7, 1.0):
        below = (1 - p**q) / q < loss_at(0.505, q)
        assert torch.equal(kept(p, 0.505), below.double())
    assert kept(torch.tensor([0.5]), 0.5).item() == 0


# -- the head --------------------------------------------------------------------
@pytest.mark.parametrize('size', [1, 2])
@pytest.mark.parametrize('truncate_from', [None, 0])
def test_small_batches(size, truncate_from):
    head, x = build(truncate_from=truncate_from), features(size)
    if truncate_from is not None:
        head.table('weight').zero_()
    loss = head.loss((x,), samples([0] * size, range(size)))['loss']
    assert loss.isfinite()
    assert torch.autograd.grad(loss, x)[0].isfinite().all()


def test_float32_within_autocast():
    head, x = build(truncate_from=0).float(), features().detach().float()
    batch = samples(LABELS, range(5))
    want = head.loss((x,), batch)['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = head.loss((x,), batch)['loss']
        rough = head.loss((x.bfloat16(),), batch)['loss']
    assert torch.equal(got, want) and rough.dtype == torch.float32


def test_plain_loss_needs_nothing_of_the_samples():
    """It also runs without the hook, and on data sets of others."""
    head = MODELS.build(dict(type='GCEHead', num_classes=3, in_channels=4))
    listed = [DataSample().set_gt_label(y) for y in LABELS]
    assert head.loss((features().detach().float(),), listed)['loss'] > 0
    head.start_training(TrainingFacts(16))
    assert head.sample_state() == {}
    assert not any(head.refresh_due(epoch) for epoch in range(100))


def test_truncation_needs_sample_ids():
    with pytest.raises(ValueError, match='GCEHead needs the sample_id of each image'):
        build(truncate_from=0).loss((features(),), samples(LABELS))


def test_predictions_are_those_of_a_linear_head():
    head, x = build(), features()
    found = head.predict_batch((x,))
    torch.testing.assert_close(found['pred_score'], head.fc(x).float().softmax(1))
    torch.testing.assert_close(
        found['uncertainty'], 1 - found['pred_score'].amax(dim=1)
    )


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(q=0), r'q must lie in \(0, 1\], got 0. Use CEHead'),
        (dict(q=1.2), r'q must lie in \(0, 1\], got 1.2'),
        (dict(k=0), r'k must lie in \(0, 1\), got 0'),
        (dict(k=1), r'k must lie in \(0, 1\), got 1'),
        (dict(truncate_from=-1), 'truncate_from must be a whole number of at least 0'),
        (dict(truncate_from=1.5), 'truncate_from must be .* or None, got 1.5'),
        (dict(refresh_interval=0), 'refresh_interval must be .* at least 1, got 0'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


# -- truncation ------------------------------------------------------------------
def test_schedule():
    head = build(truncate_from=40)
    due = [epoch for epoch in range(120) if head.refresh_due(epoch)]
    assert due == [40, 50, 60, 70, 80, 90, 100, 110]
    head.check_schedule(41)
    with pytest.raises(ValueError, match='truncate_from=40, .* 40 epochs, .*None'):
        head.check_schedule(40)
    with pytest.raises(ValueError, match='counted in iterations. .*None'):
        head.check_schedule(None)
    build().check_schedule(None)


def test_refresh_and_scores():
    head = build(truncate_from=0)
    scores = torch.tensor([[0.6, 0.4, 0.0], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7]])
    ids, labels = torch.tensor([4, 1, 2]), torch.tensor([0, 0, 2])
    head.refresh(ids, scores, labels)
    weights = head.table('weight').tolist()
    assert [i for i, w in enumerate(weights) if w == 0] == [1]
    # A sample that was left out comes back.
    head.refresh(ids[1:2], torch.tensor([[0.9, 0.1, 0.0]]), labels[1:2])
    assert head.table('weight').min() == 1
    head.table('weight')[2] = 0
    columns = head.score_labels(dict(pred_score=scores, sample_id=ids), labels)
    assert list(columns) == ['weight', 'noise_score']
    assert columns['weight'].tolist() == [1, 1, 0]
    torch.testing.assert_close(columns['noise_score'], torch.tensor([0.4, 0.5, 0.3]))
    plain = build().score_labels(dict(pred_score=scores, sample_id=ids), labels)
    assert list(plain) == ['noise_score']


def test_never_leaves_out_all_samples(monkeypatch):
    lines = []

    class Logger:
        warning = staticmethod(lines.append)

    head = build(truncate_from=0)
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: Logger)
    head.refresh(torch.tensor([0, 1]), torch.full((2, 3), 1 / 3), torch.tensor([0, 1]))
    assert head.table('weight').min() == 1
    assert 'no given label is more probable than k=0.5' in lines[0]
    assert 'Truncate later, or lower model.head.k' in lines[0]


def config(folder, **options):
    # A network that has seen so little is hardly better than chance.
    options.setdefault('model__head__k', 1 / 7)
    cfg = tiny_config(
        folder,
        TRUNCATED,
        model__head__truncate_from=1,
        model__head__refresh_interval=1,
        **options,
    )
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='fer_collate')
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def test_trains_and_resumes(tmp_path):
    # The choice before the second epoch is in its checkpoint.
    copy = CopyAt('before_train_epoch', 2, tmp_path / 'parts')
    whole = train(config(tmp_path / 'whole'), copy)
    weights = whole.model.head.table('weight')
    assert 0 < weights.mean() < 1
    with open(tmp_path / 'whole/sample_scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 96
    for row in rows:
        assert float(row['weight']) == weights[int(row['sample_id'])]
    assert math.isfinite(float(rows[0]['noise_score']))
    resumed = train(config(tmp_path / 'parts', resume=True))
    assert_same_state(whole.model.state_dict(), resumed.model.state_dict())
    assert_same_state(
        whole.model.head.sample_state(), resumed.model.head.sample_state()
    )


def test_runs_that_cannot_truncate(tmp_path):
    with pytest.raises(ValueError, match='truncate_from=5, but .* has 3 epochs'):
        train(tiny_config(tmp_path / 'short', TRUNCATED))
    cfg = config(tmp_path / 'blind')
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with pytest.raises(ValueError, match='GCEHead .* before epoch 2, .*switched off'):
        train(cfg)


def test_a_measurement_of_the_step_needs_no_validation(tmp_path):
    cfg = config(tmp_path)
    shorten(cfg)
    assert cfg.default_hooks.sample_state.refresh is False
    assert cfg.val_dataloader is None
