"""LTNet against loops and the published code; its matrices and noise scores."""

import numpy as np
import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import tiny_config, train

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.ltnet.losses import initial_matrices, observed_log_prob
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

C = 5


def build(annotators=3, num_samples=20, max_epochs=10, **options):
    """Head whose features are its logits, in the second stage."""
    head = MODELS.build(
        dict(
            type='LTNetHead',
            num_classes=C,
            in_channels=C,
            **dict(dict(annotators=annotators, warmup=0), **options),
        )
    )
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(C))
        head.fc.bias.zero_()
    head.start_training(TrainingFacts(num_samples, max_epochs))
    head.start_epoch(0)
    return head.double()


def batch(labels, ids=None):
    """Samples with the labels of all annotators, (B, A)."""
    labels = torch.as_tensor(labels)
    ids = torch.arange(len(labels)) if ids is None else ids
    return SampleBatch(
        dict(gt_label=labels[:, 0]), dict(gt_label_sets=labels), dict(sample_id=ids)
    )


# -- the published code ----------------------------------------------------------
@pytest.mark.parametrize(
    'preset, name', [('paper', 'nll'), ('official', 'double_softmax')]
)
def test_equals_the_published_code(preset, name):
    """Projection, loss and gradients, from matrices with negative entries."""
    data = golden('ltnet_loss')
    given, want = data['inputs'], data['outputs']
    head = build(preset=preset, min_entry=data['options']['minvalue'])
    with torch.no_grad():
        head.matrices.copy_(given['raw_matrices'])
    logits = given['logits'].requires_grad_()
    loss = head.loss((logits,), batch(given['targets'].T))['loss']
    loss.backward()
    assert_golden(loss, want[f'loss_{name}'])
    assert_golden(logits.grad, want[f'grad_logits_{name}'])
    assert_golden(head.matrix_step.grad, want[f'grad_matrices_{name}'])
    assert_golden(head.matrices, want['projected_matrices'])
    observed = observed_log_prob(logits.log_softmax(1), head.matrices).exp()
    assert_golden(observed.transpose(0, 1), want['observed'])


def test_start_equals_the_published_code():
    data = golden('ltnet_loss')
    options = data['options']
    found = initial_matrices(
        data['inputs']['init_draw'],
        options['minvalue'],
        options['diagonal_before_normalisation'],
    )
    assert_golden(found, data['outputs']['init_matrices'])


# -- reference: one number at a time ---------------------------------------------
def loop_loss(logits, labels, matrices, weights, double):
    """Sum over the annotators of the weighted mean over the labels they gave."""
    total = 0.0
    for a, weight in enumerate(weights):
        losses = []
        for i, label in enumerate(labels[:, a].tolist()):
            if label < 0:
                continue
            exps = [value.exp() for value in logits[i]]
            observed = [
                sum(exps[k] / sum(exps) * matrices[a, k, c] for k in range(C))
                for c in range(C)
            ]
            if double:
                again = [value.exp() for value in observed]
                observed = [value / sum(again) for value in again]
            losses.append(-observed[label].log())
        if losses:
            total = total + weight * sum(losses) / len(losses)
    return total


def loop_projection(matrices, m):
    rows = []
    for row in matrices.reshape(-1, C):
        values = [m if value < 0 else value for value in row.tolist()]
        rows.append([value / sum(values) for value in values])
    return torch.tensor(rows, dtype=torch.float64).reshape(matrices.shape)


def some_labels(size):
    """Labels of three annotators; the second one gave none, if there is one image."""
    torch.manual_seed(size)
    labels = torch.randint(C, (size, 3))
    labels[0, 1] = -1
    if size > 2:
        labels[2] = -1
        labels[1, 0] = labels[3, 2] = -1
    return labels


@pytest.mark.parametrize('projection', ['in_place', 'differentiated', 'softmax'])
@pytest.mark.parametrize('double', [False, True])
@pytest.mark.parametrize('size', [1, 2, 8])
def test_loss_and_gradients(size, double, projection):
    """With weights and missing labels; also all labels of an annotator may miss."""
    labels, weights = some_labels(size), [3, 0.5, 0]
    head = build(
        annotator_weights=weights, double_softmax=double, projection=projection
    )
    raw = torch.randn(3, C, C, dtype=torch.float64)
    raw[:, 0, 0] = 0.5
    with torch.no_grad():
        head.values.copy_(raw)
    logits = torch.randn(size, C, dtype=torch.float64, requires_grad=True)
    got = head.loss((logits,), batch(labels))['loss']
    found = torch.autograd.grad(got, (logits, head.matrix_step))

    if projection != 'softmax':
        raw = loop_projection(raw, 0.01)
        torch.testing.assert_close(head.matrices.detach(), raw)
    raw = raw.clone().requires_grad_()
    matrices = raw
    if projection == 'softmax':
        matrices = raw.exp() / raw.exp().sum(2, keepdim=True)
    elif projection == 'differentiated':
        matrices = raw / raw.sum(2, keepdim=True)
    want = loop_loss(logits, labels, matrices, weights, double)
    torch.testing.assert_close(got, want)
    expected = torch.autograd.grad(want, (logits, raw))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('size', [1, 8])
def test_first_stage(size):
    """The mean of the cross-entropy over all labels; the matrices do not matter."""
    labels = some_labels(size)
    head = build(warmup=1, annotator_weights=[3, 1, 0])
    logits = torch.randn(size, C, dtype=torch.float64)
    got = head.loss((logits,), batch(labels))['loss']
    losses = [
        logits[i].logsumexp(0) - logits[i, label]
        for i in range(size)
        for label in labels[i].tolist()
        if label >= 0
    ]
    torch.testing.assert_close(got, sum(losses) / len(losses))
    assert torch.autograd.grad(got, head.matrix_step)[0].eq(0).all()


@pytest.mark.parametrize('warmup', [0, 1])
def test_a_batch_without_labels(warmup):
    """The loss is 0, and nothing learns."""
    head = build(warmup=warmup)
    logits = torch.randn(2, C, dtype=torch.float64, requires_grad=True)
    loss = head.loss((logits,), batch(torch.full((2, 3), -1)))['loss']
    assert loss == 0
    for grad in torch.autograd.grad(loss, (logits, head.matrix_step)):
        assert grad.eq(0).all()


@pytest.mark.parametrize('warmup', [0, 1])
def test_means_of_a_global_batch(warmup, monkeypatch):
    """Two processes have different numbers of labels; their mean is the whole loss."""
    head = build(warmup=warmup, annotator_weights=[3, 1, 0.5])
    labels = some_labels(8)
    logits = torch.randn(8, C, dtype=torch.float64, requires_grad=True)
    whole = head.loss((logits,), batch(labels))['loss']
    want = torch.autograd.grad(whole, logits)[0]
    counts = (labels >= 0).sum(dim=0)
    module = 'mmfer.methods.ltnet.ltnet_head'
    monkeypatch.setattr(f'{module}.get_world_size', lambda: 2)
    monkeypatch.setattr(f'{module}.all_reduce', lambda found: found.copy_(counts))
    parts = [
        head.loss((logits[rank::2],), batch(labels[rank::2]))['loss']
        for rank in range(2)
    ]
    torch.testing.assert_close(sum(parts) / 2, whole)
    got = torch.autograd.grad(sum(parts) / 2, logits)[0]
    torch.testing.assert_close(got, want)


def test_one_annotator():
    """The label is read from gt_label; a set of one annotator is the same."""
    logits, labels = torch.randn(4, C).double(), torch.tensor([0, 1, 2, 3])
    head = build(annotators=1)
    plain = SampleBatch(dict(gt_label=labels), {}, dict(sample_id=torch.arange(4)))
    losses = [
        head.loss((logits,), samples)['loss']
        for samples in (plain, batch(labels[:, None]))
    ]
    assert torch.equal(*losses)
    assert head.sample_state()['labels'][:5, 0].tolist() == [0, 1, 2, 3, -1]


def test_float32_within_autocast():
    features, labels = torch.randn(4, C), torch.randint(C, (4, 3))
    heads = build().float(), build().float()
    heads[1].load_state_dict(heads[0].state_dict())
    want = heads[0].loss((features,), batch(labels))['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = heads[1].loss((features,), batch(labels))['loss']
    assert got.dtype == torch.float32 and torch.equal(got, want)


def test_sure_predictions_have_finite_gradients():
    """Also where a matrix says that a label cannot be."""
    head = build(annotators=1)
    with torch.no_grad():
        head.matrices.copy_(torch.eye(C)[None])
    logits = torch.zeros(2, C, dtype=torch.float64)
    logits[:, 0] = 2000.0
    logits.requires_grad_()
    loss = head.loss((logits,), batch([[1], [0]]))['loss']
    assert loss.isfinite()
    for grad in torch.autograd.grad(loss, (logits, head.matrix_step)):
        assert grad.isfinite().all()


# -- what the matrices learn -------------------------------------------------------
def confusions():
    """Probabilities of the labels of three annotators, (3, C, C)."""
    rates = torch.tensor([0.2, 0.3, 0.4], dtype=torch.float64)[:, None, None]
    found = (1 - rates) * torch.eye(C) + rates / (C - 1) * (1 - torch.eye(C))
    # The second one takes the first class for the last one.
    found[1, 0] = torch.tensor([0.6, 0, 0, 0, 0.4])
    return found


def draw_labels(true):
    torch.manual_seed(5)
    drawn = [torch.multinomial(p[true], 1)[:, 0] for p in confusions()]
    return torch.stack(drawn, dim=1)


def test_matrices_of_known_annotators():
    """A linear head on drawn features learns them within a few hundredths."""
    torch.manual_seed(0)
    true = torch.randint(C, (2000,))
    labels = draw_labels(true)
    features = 2 * torch.eye(C)[true] + 0.4 * torch.randn(2000, C)
    head = build(num_samples=2000, projection='differentiated').float()
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(12):
        for rows in torch.randperm(2000).split(100):
            loss = head.loss((features[rows],), batch(labels[rows], rows))['loss']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    errors = (head.transition() - confusions()).abs()
    assert errors.mean() < 0.03 and errors.max() < 0.12
    assert (head.transition().diagonal(dim1=1, dim2=2) > 0.5).all()


def test_in_place_projection_ends_at_square_roots():
    """What the page says of the published projection, with a network that is sure."""
    true = torch.arange(C).repeat_interleave(10)
    # Of ten images of each class, seven labels are right.
    wrong = torch.tensor([0] * 7 + [1, 1, 2]).repeat(C)
    logits = 40 * torch.eye(C, dtype=torch.float64)[true]
    samples = batch(((true + wrong) % C)[:, None])
    shares = torch.tensor([0.7, 0.2, 0.1, 0, 0], dtype=torch.float64)
    roots = shares.sqrt() / shares.sqrt().sum()
    for projection, want in (('in_place', roots), ('differentiated', shares)):
        head = build(1, 50, projection=projection, min_entry=1e-3)
        optimizer = torch.optim.SGD([head.matrix_step], 0.05)
        for _ in range(400):
            loss = head.loss((logits,), samples)['loss']
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for k, row in enumerate(head.transition()[0].detach()):
            torch.testing.assert_close(row, want.roll(k), atol=0.02, rtol=0)


# -- scores --------------------------------------------------------------------
def scored(head, probs, labels):
    given = torch.as_tensor(labels)
    found = head.score_labels(
        dict(pred_score=torch.tensor(probs), sample_id=torch.arange(len(given))), given
    )
    return {name: values.tolist() for name, values in found.items()}


def test_noise_score():
    """By the labels of all annotators, a missing one, and an image never seen."""
    head = build()
    matrices = confusions()
    with torch.no_grad():
        head.matrices.copy_(matrices)
    labels = torch.tensor([[0, 1, 1], [2, 2, -1]])
    head.loss((torch.zeros(2, C).double(),), batch(labels, torch.tensor([0, 1])))
    probs = [[0.3, 0.4, 0.1, 0.1, 0.1], [0.2] * C, [0.1, 0.6, 0.1, 0.1, 0.1]]
    found = scored(head, probs, [0, 2, 4])
    sets = [[0, 1, 1], [2, 2, -1], [4, -1, -1]]
    matrices = head.transition().tolist()
    for i, (prob, given) in enumerate(zip(probs, sets, strict=True)):
        pi = list(prob)
        for a, label in enumerate(given):
            if label >= 0:
                pi = [pi[k] * matrices[a][k][label] for k in range(C)]
        pi = [value / sum(pi) for value in pi]
        assert found['noise_score'][i] == pytest.approx(1 - pi[given[0]], abs=1e-6)
        for a in (1, 2):
            want = 1 - pi[given[a]] if given[a] >= 0 else np.nan
            assert found[f'noise_score_{a + 1}'][i] == pytest.approx(
                want, abs=1e-6, nan_ok=True
            )
    # Two annotators and the image contradict the first; then nobody does.
    assert found['suggested_label'] == [1, 2, 4]
    assert list(found)[:2] == ['noise_score_2', 'noise_score_3']


def test_score_of_a_label_that_a_hook_changed():
    """The new label was trained on, so the given one has no evidence."""
    head = build(1, num_samples=2)
    with torch.no_grad():
        head.matrices.copy_(0.9 * torch.eye(C) + 0.02)
    head.loss((torch.zeros(1, C).double(),), batch([[3]], torch.tensor([0])))
    found = scored(head, [[0.4, 0.2, 0.1, 0.2, 0.1]] * 2, [0, 0])
    joint = [0.4 * 0.02, 0.2 * 0.02, 0.1 * 0.02, 0.2 * 0.92, 0.1 * 0.02]
    assert found['noise_score'][0] == pytest.approx(1 - joint[0] / sum(joint))
    assert found['suggested_label'] == [3, 0]
    # The second image was never trained on.
    assert found['noise_score'][1] < 0.1


def test_scores_of_the_first_stage():
    """Matrices that have not been trained would trust every label."""
    found = scored(build(1, warmup=1), [[0.1, 0.6, 0.1, 0.1, 0.1]], [0])
    assert found == dict(noise_score=[pytest.approx(0.9)], suggested_label=[1])
    assert (
        1 - scored(build(1), [[0.1, 0.6, 0.1, 0.1, 0.1]], [0])['noise_score'][0] > 0.9
    )


# -- options, samples and schedule -------------------------------------------------
@pytest.mark.parametrize(
    'options, message',
    [
        (dict(annotators=0), 'LTNetHead: annotators must be a whole number of at'),
        (
            dict(annotator_weights=[1, 2]),
            'annotator_weights must be 3 numbers, one for each annotator, got',
        ),
        (
            dict(annotator_weights=[1, -2, 1]),
            r'annotator_weights\[1\] must be a number of at least 0, got -2',
        ),
        (dict(annotator_weights=5), 'annotator_weights must be 3 numbers, .* got 5'),
        (dict(double_softmax='no'), "double_softmax must be True or False, got 'no'"),
        (dict(annotator_weights=[0, 0, 0]), 'one is above 0.*no label would be'),
        (dict(warmup=1.5), r'LTNetHead: warmup must lie in \[0, 1\], got 1.5'),
        (dict(min_entry=0), r'LTNetHead: min_entry must lie in \(0, 1\), got 0'),
        (dict(projection='none'), "LTNetHead: projection must be 'in_place'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_bad_samples():
    features = (torch.zeros(1, C).double(),)
    with pytest.raises(ValueError, match='3 discrete label sets, .* of 2 sets. Set mo'):
        build().loss(features, batch([[0, 1]]))
    with pytest.raises(ValueError, match='has 1 discrete label sets, .* of 3 sets'):
        build(annotators=1).loss(features, batch([[0, 1, 2]]))
    with pytest.raises(ValueError, match='the model needs gt_label_sets'):
        plain = SampleBatch(dict(gt_label=torch.tensor([0])), {}, {})
        build().loss(features, plain)
    for wrong in (5, -2):
        with pytest.raises(ValueError, match='5 classes; -1 is a missing label'):
            build().loss(features, batch([[0, wrong, 2]]))
    nobody = batch([[0, 1, 2]])
    nobody._meta.clear()
    with pytest.raises(ValueError, match='LTNetHead needs the sample_id'):
        build().loss(features, nobody)


@pytest.mark.parametrize(
    'warmup, epochs, first',
    [(0.5, 3, 2), (0.5, 5, 3), (0.2, 10, 2), (0.01, 10, 1), (0.99, 10, 9), (0.2, 1, 0)],
)
def test_both_stages_have_an_epoch(warmup, epochs, first):
    head = build(warmup=warmup, max_epochs=epochs)
    found = []
    for epoch in range(epochs):
        head.start_epoch(epoch)
        found.append(head._warming_up())
    assert found == [epoch < first for epoch in range(epochs)]


@pytest.mark.parametrize('projection', ['in_place', 'differentiated', 'softmax'])
def test_weight_decay_leaves_the_start_alone(projection):
    """In the warm-up; Adam turns any decay into a step of its learning rate."""
    head = build(warmup=0.5, max_epochs=10, projection=projection)
    start = head.transition().detach()
    optimizer = torch.optim.Adam(head.parameters(), 1e-3, weight_decay=0.1)
    samples = batch(some_labels(8))
    for _ in range(100):
        optimizer.zero_grad()
        head.loss((torch.randn(8, C).double(),), samples)['loss'].backward()
        optimizer.step()
    torch.testing.assert_close(head.transition().detach(), start)


def test_probabilities_are_no_start_for_logits():
    """A checkpoint of another projection is noticed."""
    logits, matrices = build(projection='softmax'), build()
    for one, other in ((logits, matrices), (matrices, logits)):
        found = one.load_state_dict(other.state_dict(), strict=False)
        assert found.missing_keys == [one.learned]
        assert found.unexpected_keys == [other.learned]


def test_a_longer_run_keeps_its_warm_up():
    first, longer = build(warmup=0.5, max_epochs=4), build(warmup=0.5, max_epochs=10)
    longer.load_sample_state(first.sample_state())
    longer.start_epoch(1)
    assert longer._warming_up()
    longer.start_epoch(2)
    assert not longer._warming_up()


def test_a_warm_up_needs_epochs():
    with pytest.raises(ValueError, match='counted in iterations.*load_from'):
        build(warmup=0.2, max_epochs=None)
    build(warmup=0, max_epochs=None)
    build(warmup=1, max_epochs=None)
    head = MODELS.build(dict(type='LTNetHead', num_classes=C, in_channels=C))
    labels = batch([[0]])
    with pytest.raises(RuntimeError, match='SampleStateHook'):
        head.loss((torch.zeros(1, C),), labels)


def test_state():
    """The labels that were seen, by sample; the matrices are with the weights."""
    head = build(num_samples=4)
    labels = torch.tensor([[0, 1, 2], [3, -1, 4]])
    head.loss((torch.zeros(2, C).double(),), batch(labels, torch.tensor([3, 1])))
    state = head.sample_state()
    kept = state['labels']
    assert kept.tolist() == [[-1] * 3, [3, -1, 4], [-1] * 3, [0, 1, 2]]
    assert {'matrices', 'matrix_step'} <= head.state_dict().keys()
    other = build(num_samples=4)
    other.load_sample_state(state)
    assert torch.equal(other.table('labels'), kept)
    with pytest.raises(ValueError, match='one row'):
        build(num_samples=5).load_sample_state(state)


def test_trains(tmp_path):
    """Three annotators, with both stages in one run."""
    cfg = tiny_config(
        tmp_path, 'ltnet/ltnet_r18_synthfaces_multinoise', train_cfg__max_epochs=2
    )
    cfg.param_scheduler.milestones = [1]
    head = train(cfg).model.head
    # Every image of the training set has been seen.
    assert head.table('labels').ge(0).all()
    assert head.transition().sum(dim=2).sub(1).abs().max() < 1e-5
    lines = (tmp_path / 'sample_scores.csv').read_text().splitlines()
    assert len(lines) == 97 and 'noise_score_2,noise_score_3,noise_score' in lines[0]
