"""Equations of ALUM against loops; edge cases and options."""

import math
from unittest import mock

import pytest
import torch
from helpers import CONFIGS, tiny_config, train
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.methods.alum.losses import reduce_triplets, triplet_hinge
from mmfer.methods.alum.mining import choose_anchors, mine_adversarial
from mmfer.models.feature_mixing import random_partners
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.registry import MODELS

CPU = torch.device('cpu')
HEAD = 'mmfer.methods.alum.alum_head'
B, D, C = 7, 4, 3
LABELS = [0, 1, 0, 2, 1, 0, 1]  # 2 is alone
SHUFFLED = [[3, 0, 6, 1, 2, 4, 5], [6, 5, 4, 3, 2, 1, 0]]


def build(num_classes=C, in_channels=D, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='ALUMHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    ).double()


def features(batch=B, dim=D, seed=1):
    generator = torch.Generator().manual_seed(seed)
    mean, log_var = torch.randn(2, batch, dim, generator=generator, dtype=torch.float64)
    return mean.requires_grad_(), log_var.requires_grad_()


def samples_of(labels):
    return [DataSample().set_gt_label(int(y)) for y in labels]


def run(head, mean, log_var, labels=LABELS, anchors=None, shuffled=SHUFFLED):
    """Compute the loss with given anchors and permutations."""
    anchors = [False] * len(labels) if anchors is None else anchors
    with (
        mock.patch(f'{HEAD}.choose_anchors', return_value=torch.tensor(anchors)),
        mock.patch(
            f'{HEAD}.random_partners',
            side_effect=lambda size, count, device: [
                torch.tensor(p) for p in shuffled[:count]
            ],
        ),
    ):
        return head.loss(GaussianFeature(mean, log_var), samples_of(labels))


# -- references: one number at a time ----------------------------------------
def cosine(a, b):
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    return dot / math.sqrt(sum(p * p for p in a) * sum(q * q for q in b))


def loop_mine(mean, labels, reading):
    """Return the partner by Eq. 10; None where no image qualifies."""
    rows, partners = mean.tolist(), []
    for i in range(len(rows)):
        same = [j for j in range(len(rows)) if labels[j] == labels[i] and j != i]
        other = [j for j in range(len(rows)) if labels[j] != labels[i]]

        def similarity(j, i=i):
            return cosine(rows[i], rows[j])

        def distance(j, i=i):
            return 1 - cosine(rows[i], rows[j])

        # The equation has arg-min for both; the text wants hard examples.
        measure = dict(
            prose=(similarity, distance),
            similarity=(similarity, similarity),
            distance=(distance, distance),
        )[reading]
        partners.append(
            (
                min(same, key=measure[0]) if same else None,
                min(other, key=measure[1]) if other else None,
            )
        )
    return partners


def loop_partners(mined, anchors, use=(True, True)):
    """Return the partners of each image, Sec. 3.3."""
    chosen = []
    for i, pair in enumerate(mined):
        row, drawn = [], iter(SHUFFLED)
        for mine, wanted in zip(pair, use, strict=True):
            if wanted:
                random = next(drawn)[i]
                row.append(mine if anchors[i] and mine is not None else random)
        chosen.append(row or [SHUFFLED[0][i]])
    return chosen


def loop_classification(mean, log_var, labels, fc, partners):
    """Compute Eqs. 11 and 13."""
    total = 0.0
    for i in range(len(labels)):
        triplet = [i, *partners[i]]
        mixed = []
        for d in range(mean.shape[1]):
            sigma = [log_var[j, d].exp() for j in triplet]
            mixed.append(
                sum(
                    s / sum(sigma) * mean[j, d]
                    for s, j in zip(sigma, triplet, strict=True)
                )
            )
        logits = [
            sum(fc.weight[c, d] * mixed[d] for d in range(len(mixed))) + fc.bias[c]
            for c in range(len(fc.bias))
        ]
        norm = sum(v.exp() for v in logits)
        for j in triplet:
            total -= (logits[labels[j]].exp() / norm).log()
    return total / len(labels)


def loop_hinge(mean, i, positive, negative, margin):
    """Return the summand of Eq. 14; 0 for an image without both partners."""
    if positive is None or negative is None:
        return None
    attraction = sum(
        (mean[i, d] - mean[positive, d]) ** 2 for d in range(mean.shape[1])
    )
    repulsion = sum((mean[i, d] - mean[negative, d]) ** 2 for d in range(mean.shape[1]))
    value = attraction - repulsion + margin
    return value if value > 0 else 0 * value


# -- Eq. 10 ------------------------------------------------------------------
@pytest.mark.parametrize('reading', ['prose', 'similarity', 'distance'])
def test_mining(reading):
    mean, _ = features()
    mined = mine_adversarial(mean, torch.tensor(LABELS), reading)
    want = loop_mine(mean, LABELS, reading)
    for i, (positive, negative) in enumerate(want):
        assert mined.has_positive[i] == (positive is not None)
        assert mined.has_negative[i]
        if positive is not None:
            assert mined.positive[i] == positive != i
        assert mined.negative[i] == negative
    assert not mined.has_positive[3]  # alone in its class
    assert not mined.positive.requires_grad


def test_readings_differ_in_the_printed_sign():
    mean, _ = features(64)
    labels = torch.arange(64) % 3
    prose, similarity, distance = (
        mine_adversarial(mean, labels, name)
        for name in ('prose', 'similarity', 'distance')
    )
    assert torch.equal(prose.positive, similarity.positive)
    assert torch.equal(prose.negative, distance.negative)
    assert not (prose.positive == distance.positive).any()
    assert not (prose.negative == similarity.negative).any()


def test_mining_ignores_length():
    mean, _ = features(32)
    labels = torch.arange(32) % 4
    longer = mean * torch.linspace(0.1, 9, 32, dtype=torch.float64)[:, None]
    for a, b in zip(
        mine_adversarial(mean, labels), mine_adversarial(longer, labels), strict=True
    ):
        assert torch.equal(a, b)


def test_mining_of_a_zero_mean():
    mean, _ = features()
    mean = mean.detach().clone()
    mean[0] = 0
    mined = mine_adversarial(mean, torch.tensor(LABELS))
    assert LABELS[mined.positive[0]] == 0 and mined.positive[0] != 0
    assert LABELS[mined.negative[0]] != 0


# -- p -----------------------------------------------------------------------
@pytest.mark.parametrize('size', [1, 2, 7, 50, 128])
@pytest.mark.parametrize('ratio', [0, 0.1, 0.2, 0.5, 1])
def test_number_of_anchors(size, ratio):
    anchors = choose_anchors(size, ratio, CPU)
    assert anchors.dtype == torch.bool and len(anchors) == size
    assert anchors.sum().item() == round(ratio * size)


def test_anchors_are_chosen_uniformly():
    torch.manual_seed(0)
    share = sum(choose_anchors(10, 0.2, CPU) for _ in range(2000)) / 2000
    assert ((share - 0.2).abs() < 0.04).all()


def test_non_anchors_get_two_different_permutations():
    head = build(mine_ratio=0.0)
    mean, log_var = features(40)
    labels = torch.arange(40) % 3
    drawn = []

    def spy(*args):
        drawn.append(random_partners(*args))
        return drawn[-1]

    with mock.patch(f'{HEAD}.random_partners', side_effect=spy):
        mined = mine_adversarial(mean, labels)
        positive, negative = head.choose_partners(
            mined, torch.zeros(40, dtype=torch.bool)
        )
    assert torch.equal(positive, drawn[0][0])
    assert torch.equal(negative, drawn[0][1])
    assert (positive != negative).float().mean() > 0.8
    for index in (positive, negative):
        assert sorted(index.tolist()) == list(range(40))


@pytest.mark.parametrize(
    'anchors', [[True] * B, [False] * B, [True, False, True, True] + [False] * 3]
)
@pytest.mark.parametrize(
    'use', [(True, True), (True, False), (False, True), (False, False)]
)
def test_partners(use, anchors):
    head = build(positive=use[0], negative=use[1])
    mean, _ = features()
    mined = mine_adversarial(mean, torch.tensor(LABELS))
    with mock.patch(
        f'{HEAD}.random_partners',
        side_effect=lambda size, count, device: [
            torch.tensor(p) for p in SHUFFLED[:count]
        ],
    ):
        partners = head.choose_partners(mined, torch.tensor(anchors))
    want = loop_partners(loop_mine(mean, LABELS, 'prose'), anchors, use)
    assert torch.stack(partners, 1).tolist() == want


@pytest.mark.parametrize('dataset', ['rafdb', 'synthfaces'])
def test_ramp_of_the_configs(dataset):
    cfg = Config.fromfile(f'{CONFIGS}/alum/alum_r18_{dataset}_ramp.py')
    (ramp,) = cfg.custom_hooks
    assert (ramp.attribute, ramp.end) == ('head.mine_ratio', 0.2)
    assert ramp.epochs == cfg.train_cfg.max_epochs


def test_share_of_mined_partners_grows_over_epochs(tmp_path):
    """From none in the first step, by a step's share of the ramp in each step."""
    cfg = tiny_config(tmp_path, 'alum/alum_r18_synthfaces_ramp')
    cfg.custom_hooks[0].update(end=0.6, epochs=2)
    seen = []

    def spy(size, ratio, device):
        anchors = choose_anchors(size, ratio, device)
        seen.append((size, int(anchors.sum())))
        return anchors

    with mock.patch(f'{HEAD}.choose_anchors', side_effect=spy):
        runner = train(cfg)
    # Three epochs of three batches of 32; the ramp ends after six of them.
    want = [round(32 * 0.6 * min(step / 6, 1)) for step in range(9)]
    assert seen == [(32, count) for count in want]
    assert want[0] == 0 < want[1] < want[-1] == 19
    assert runner.model.head.mine_ratio == pytest.approx(0.6)


# -- Eqs. 11 to 14 -----------------------------------------------------------
@pytest.mark.parametrize(
    'use', [(True, True), (True, False), (False, True), (False, False)]
)
@pytest.mark.parametrize('reading', ['prose', 'similarity', 'distance'])
def test_losses_and_gradients(reading, use):
    weight, margin, anchors = (0.3, 0.7, [True, False, True, True, True, False, False])
    head = build(
        positive=use[0],
        negative=use[1],
        mining=reading,
        margin=margin,
        triplet_weight=weight,
        triplet_reduction='sum',
    )
    mean, log_var = features()
    losses = run(head, mean, log_var, anchors=anchors)
    mined = loop_mine(mean, LABELS, reading)
    want_cls = loop_classification(
        mean, log_var, LABELS, head.fc, loop_partners(mined, anchors, use)
    )
    hinges = [
        loop_hinge(mean, i, *pair, margin) for i, pair in enumerate(mined) if anchors[i]
    ]
    assert hinges.count(None) == 1  # image 3 has no positive
    want_triplet = weight * sum(h for h in hinges if h is not None)
    torch.testing.assert_close(losses['loss_cls'], want_cls)
    torch.testing.assert_close(losses['loss_triplet'], want_triplet)
    inputs = (mean, log_var, head.fc.weight, head.fc.bias)
    got = torch.autograd.grad(sum(losses.values()), inputs)
    want = torch.autograd.grad(want_cls + want_triplet, inputs)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


def test_a_rule_of_mining_of_a_subclass():
    """The losses are those of the partners that an overridden ``mine`` returns."""
    mean, log_var = features()
    other = build(mining='distance')
    want = run(other, mean, log_var, anchors=[True] * B)
    head = build()

    class OwnHead(type(head)):
        def mine(self, mean, labels):
            return mine_adversarial(mean, labels, 'distance')

    before = run(head, mean, log_var, anchors=[True] * B)
    head.__class__ = OwnHead
    got = run(head, mean, log_var, anchors=[True] * B)
    assert got.keys() == want.keys()
    for name in want:
        torch.testing.assert_close(got[name], want[name])
    assert before['loss_triplet'] != want['loss_triplet']


def test_triplet_hinge():
    mean, positive, negative = (
        torch.tensor([[0.0, 0.0], [1.0, 0.0]]),
        torch.tensor([[3.0, 0.0], [1.0, 1.0]]),
        torch.tensor([[0.0, 2.0], [5.0, 0.0]]),
    )
    # 9 - 4 + 1, and 1 - 16 + 1 < 0
    assert triplet_hinge(mean, positive, negative, 1.0).tolist() == [6.0, 0.0]
    inputs = [
        torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)
    ]
    assert torch.autograd.gradcheck(lambda *x: triplet_hinge(*x, 1.0), inputs)


def test_reductions():
    hinges = torch.tensor([1.0, 2.0, 4.0, torch.inf])
    valid = torch.tensor([True, False, True, False])
    assert reduce_triplets(hinges, valid, 'sum', 25.6) == 5
    assert reduce_triplets(hinges, valid, 'mean', 25.6) == 25.6 * 2.5
    nothing = torch.zeros(4, dtype=torch.bool)
    for reduction in ('sum', 'mean'):
        assert reduce_triplets(hinges, nothing, reduction, 25.6) == 0


def test_mean_stands_for_the_sum_of_the_paper():
    """Mean and sum agree at B = 128 and p = .2, where 26 triplets are summed."""
    mean, log_var = features(128, 64)
    labels = torch.arange(128) % 7
    anchors = (torch.arange(128) < 26).tolist()
    shuffled = [torch.randperm(128).tolist() for _ in range(2)]
    losses = {
        reduction: run(
            build(7, 64, triplet_reduction=reduction),
            mean,
            log_var,
            labels,
            anchors,
            shuffled,
        )['loss_triplet'].item()
        for reduction in ('sum', 'mean')
    }
    assert losses['sum'] > 0
    assert losses['mean'] == pytest.approx(losses['sum'] * 25.6 / 26)


def test_scope_of_the_triplets():
    mean, log_var = features()
    anchors = [True, True] + [False] * 5
    hinges = [
        loop_hinge(mean, i, *pair, 1.0)
        for i, pair in enumerate(loop_mine(mean, LABELS, 'prose'))
    ]
    for name, want in (('mined', hinges[:2]), ('all', hinges)):
        head = build(triplet_scope=name, triplet_reduction='sum', triplet_weight=1.0)
        loss = run(head, mean, log_var, anchors=anchors)['loss_triplet']
        torch.testing.assert_close(loss, sum(h for h in want if h is not None))


def test_no_triplet_term_without_weight():
    losses = run(build(triplet_weight=0.0), *features())
    assert list(losses) == ['loss_cls']


def test_mined_partners_get_no_gradient_through_the_choice():
    """Gradients flow through partners, whose indices are constants."""
    mean, log_var = features()
    head = build(mine_ratio=1.0)
    run(head, mean, log_var, anchors=[True] * B)['loss_triplet'].backward()
    assert mean.grad.abs().sum() > 0 and log_var.grad is None


# -- edges -------------------------------------------------------------------
EDGES = {
    'alone': [0, 1, 1, 1, 2, 2],
    'all alone': [0, 1, 2, 3, 4, 5],
    'one class': [2, 2, 2, 2, 2, 2],
    'batch of 1': [0],
    'two of a class': [1, 1],
    'two classes': [0, 1],
}


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(triplet_scope='all', triplet_reduction='sum'),
        dict(preset='paper'),
        dict(positive=False),
        dict(negative=False),
        dict(positive=False, negative=False),
    ],
)
@pytest.mark.parametrize('ratio', [0.0, 1.0])
@pytest.mark.parametrize('edge', EDGES)
def test_edges_are_finite(edge, ratio, options):
    labels = EDGES[edge]
    head = build(6, mine_ratio=ratio, **options)
    mean, log_var = features(len(labels))
    losses = head.loss(GaussianFeature(mean, log_var), samples_of(labels))
    assert all(loss.isfinite() for loss in losses.values())
    mined = loop_mine(mean, labels, 'prose')
    counted = [p for p in mined if None not in p]
    if head.triplet_scope == 'used':
        # The triplet of an image with itself has the margin.
        if len(labels) == 1:
            assert losses['loss_triplet'] == head.triplet_weight * head.margin
    elif not counted or (ratio == 0 and head.triplet_scope == 'mined'):
        assert losses['loss_triplet'] == 0
    sum(losses.values()).backward()
    for x in (mean, log_var, head.fc.weight):
        assert x.grad.isfinite().all()


@pytest.mark.parametrize('edge,labels', EDGES.items())
def test_missing_partners_come_from_the_permutation(edge, labels):
    mean, log_var = features(len(labels))
    size = len(labels)
    shuffled = [[(i + 1) % size for i in range(size)], list(range(size))[::-1]]
    mined = mine_adversarial(mean, torch.tensor(labels))
    with mock.patch(
        f'{HEAD}.random_partners', return_value=[torch.tensor(p) for p in shuffled]
    ):
        partners = build(6).choose_partners(mined, torch.ones(size, dtype=torch.bool))
    for i, pair in enumerate(loop_mine(mean, labels, 'prose')):
        for mine, got, random in zip(pair, partners, shuffled, strict=True):
            assert got[i] == (random[i] if mine is None else mine)


def test_partner_counts_with_its_own_label():
    """A random partner counts with its own label in Eq. 13."""
    head = build(triplet_weight=0.0)
    with torch.no_grad():
        head.fc.weight.zero_()
        head.fc.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    loss = run(head, *features())['loss_cls'].item()
    norm = math.log(1 + math.e + math.e**2)
    # Every label occurs three times: for itself and in two permutations.
    want = 3 * sum(norm - label for label in LABELS) / B
    assert loss == pytest.approx(want)


@pytest.mark.parametrize('shuffle', [True, False])
def test_float32_within_autocast(shuffle):
    torch.manual_seed(0)
    mean, log_var = torch.randn(2, 64, 16)
    mean = mean + 10  # all alike: a bfloat16 cosine could not rank them
    labels = torch.arange(64) % 5
    head = build(5, 16).float()
    anchors = [not shuffle] * 64
    shuffled = [torch.randperm(64).tolist() for _ in range(2)]
    want = run(head, mean, log_var, labels, anchors, shuffled)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = run(head, mean, log_var, labels, anchors, shuffled)
    for name, value in want.items():
        assert torch.equal(got[name], value), name


@pytest.mark.parametrize(
    'options,message',
    [
        (dict(mine_ratio=1.2), r'mine_ratio must lie in \[0, 1\], got 1.2'),
        (dict(mine_ratio=-0.1), r'mine_ratio must lie in \[0, 1\], got -0.1'),
        (dict(mining='hard'), "mining must be 'prose', 'similarity' or 'dist"),
        (
            dict(triplet_scope='batch'),
            "ALUMHead: triplet_scope must be 'mined', 'used' or 'all'",
        ),
        (
            dict(triplet_reduction='max'),
            "triplet_reduction must be 'mean' or 'sum', got",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
