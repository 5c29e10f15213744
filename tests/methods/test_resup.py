"""ReSup against loops and the published code."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from helpers import TINY_CLASSIFIER
from mmpretrain.structures import DataSample

from mmfer.registry import MODELS

DATA = Path(__file__).parents[1] / 'data'


def build(classes=7, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='ReSup',
            network1=copy.deepcopy(TINY_CLASSIFIER),
            data_preprocessor=dict(input_shape=(1, 16, 16), num_classes=classes),
            **options,
        )
    )


def published():
    return json.loads((DATA / 'published_resup.json').read_text())


def fit_published(model):
    scores = [entry['scores'] for entry in published()['mixture']]
    model.fit_noise_models(torch.tensor(scores, dtype=torch.float64))


def joint(model, logits, labels):
    log_prob = [x.log_softmax(dim=1) for x in logits]
    return model.joint_loss(log_prob, labels, model.measure(log_prob, labels))


def random_batch(seed, count=12, classes=7):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(
        2, count, classes, generator=generator, dtype=torch.float64
    )
    labels = torch.randint(classes, (count,), generator=generator)
    return logits.requires_grad_(), labels


# -- published values ---------------------------------------------------
def test_published_loss_and_gradients():
    expected = published()['loss']
    model = build(preset='official', consistency_weight=expected['consistency_weight'])
    fit_published(model)
    model.start_epoch(1)
    logits = [
        torch.tensor(expected[f'logits{k}'], dtype=torch.float64, requires_grad=True)
        for k in (1, 2)
    ]
    loss = sum(joint(model, logits, torch.tensor(expected['target'])).values())
    assert loss.item() == pytest.approx(expected['loss'], abs=1e-7)
    loss.backward()
    for k, x in enumerate(logits, 1):
        assert torch.allclose(
            x.grad,
            torch.tensor(expected[f'grad{k}'], dtype=torch.float64),
            rtol=0,
            atol=1e-7,
        )


def test_published_warm_up():
    expected = published()
    model = build(preset='official')
    fit_published(model)  # and yet, in the first epoch:
    model.start_epoch(0)
    logits = [
        torch.tensor(expected['loss'][f'logits{k}'], dtype=torch.float64)
        for k in (1, 2)
    ]
    losses = joint(model, logits, torch.tensor(expected['loss']['target']))
    assert sum(losses.values()).item() == pytest.approx(
        expected['warmup_loss'], abs=1e-9
    )


# -- loops ---------------------------------------------------
def loss_by_loops(logits, labels, weight_of, exchange, term, reduction):
    """Compute Eqs. 2, 6, 7 and 8, one sample after another.

    ``term`` gives the consistency term of two predictions, with its factor.
    """
    total = 0.0
    for b, y in enumerate(labels.tolist()):
        probs, weights = [], []
        for k in range(2):
            exps = [math.exp(v) for v in logits[k][b].tolist()]
            probs.append([e / sum(exps) for e in exps])
            norm = math.sqrt(sum(p * p for p in probs[k]))
            weights.append(weight_of(k, probs[k][y] / norm))
        for k in range(2):
            weight = dict(
                swap=weights[1 - k], own=weights[k], mean=(weights[0] + weights[1]) / 2
            )[exchange]
            total -= weight * math.log(probs[k][y])
        total += term(*probs)
    return total / len(labels) if reduction == 'mean' else total


@pytest.mark.parametrize('exchange', ['swap', 'own', 'mean'])
@pytest.mark.parametrize('reduction', ['mean', 'sum'])
@pytest.mark.parametrize('factor', [0.0, 5.0])
def test_loss_against_loops(exchange, reduction, factor):
    model = build(exchange=exchange, reduction=reduction, consistency_weight=factor)
    fit_published(model)
    model.start_epoch(3)

    def weight_of(k, score):
        # The look-up is in float32, as in the model.
        return (
            model.noise_models[k]
            .weigh(torch.tensor([score], dtype=torch.float64))
            .item()
        )

    def term(first, second):
        squares = [(p - q) ** 2 for p, q in zip(first, second)]
        return factor * sum(squares) / len(squares)

    for seed in range(100):
        logits, labels = random_batch(seed)
        losses = joint(model, logits, labels)
        assert ('loss_consistency' in losses) == (factor > 0)
        assert sum(losses.values()).item() == pytest.approx(
            loss_by_loops(logits, labels, weight_of, exchange, term, reduction),
            abs=1e-6,
        )


def test_jocor_like_row_against_loops():
    """Sec. 4.5: the mean of both weights, and JoCoR's symmetric KL divergence."""
    model = build(exchange='mean', consistency='symmetric_kl', consistency_weight=0.5)
    fit_published(model)
    model.start_epoch(3)

    def weight_of(k, score):
        score = torch.tensor([score], dtype=torch.float64)
        return model.noise_models[k].weigh(score).item()

    def term(first, second):
        both = (
            sum(p * math.log(p / q) for p, q in zip(*pair))
            for pair in ((first, second), (second, first))
        )
        return 0.5 * sum(both)

    for seed in range(20):
        logits, labels = random_batch(seed)
        assert sum(joint(model, logits, labels).values()).item() == pytest.approx(
            loss_by_loops(logits, labels, weight_of, 'mean', term, 'mean'), abs=1e-6
        )


def test_weights_carry_no_gradient_and_consistency_moves_both():
    model = build(consistency_weight=5.0)
    fit_published(model)
    model.start_epoch(1)
    logits, labels = random_batch(0)
    losses = joint(model, logits, labels)
    (first,) = torch.autograd.grad(losses['loss_network1'], logits, retain_graph=True)
    assert first[0].abs().sum() > 0 and first[1].abs().sum() == 0
    (both,) = torch.autograd.grad(losses['loss_consistency'], logits)
    assert both[0].abs().sum() > 0 and both[1].abs().sum() > 0


# -- the whole model ---------------------------------------------------
def test_one_step_reaches_both_networks():
    model = build()
    model.init_weights()
    model.start_epoch(0)
    samples = [
        DataSample(metainfo=dict(sample_id=i)).set_gt_label(i % 7) for i in range(8)
    ]
    losses = model(torch.randn(8, 1, 16, 16), samples, mode='loss')
    sum(losses.values()).backward()
    for network in model.networks:
        assert network.backbone.conv1.weight.grad.abs().sum() > 0


def test_weights_stay_one_until_a_fit_was_taken():
    """After warm-up without a fit, both losses count in full."""
    model = build(consistency_weight=0.0)
    model.start_epoch(4)
    logits, labels = random_batch(0)
    losses = joint(model, logits, labels)
    for k in range(2):
        assert losses[f'loss_network{k + 1}'].item() == pytest.approx(
            torch.nn.functional.cross_entropy(logits[k], labels).item()
        )


def test_label_scores():
    model = build()
    fit_published(model)
    scores = torch.softmax(
        3 * torch.randn(50, 2, 7, generator=torch.Generator().manual_seed(0)), dim=2
    )
    labels = torch.arange(50) % 7
    table = model.score_labels(dict(network_scores=scores), labels)
    assert list(table) == ['clean_probability_1', 'clean_probability_2', 'noise_score']
    given = scores[torch.arange(50), :, labels]
    similarity = (given / scores.norm(dim=2)).T
    for k in range(2):
        # A rounding error may lead to the next entry of the table.
        assert torch.allclose(
            table[f'clean_probability_{k + 1}'],
            model.noise_models[k].weigh(similarity[k]),
            atol=0.05,
        )
    mean = (table['clean_probability_1'] + table['clean_probability_2']) / 2
    assert torch.allclose(
        table['noise_score'], 0.999 * (1 - mean) + 0.001 * (1 - given.mean(dim=1))
    )
    assert len(table['noise_score'].unique()) == 50  # no two alike


def test_label_scores_without_a_fit():
    model = build()
    scores = torch.rand(20, 2, 7).softmax(dim=2)
    labels = torch.arange(20) % 7
    given = scores[torch.arange(20), :, labels].mean(dim=1)
    assert torch.allclose(
        model.score_labels(dict(network_scores=scores), labels)['noise_score'],
        1 - given,
    )
    # If one of the two is fitted, it decides.
    model.noise_models[1].fit(torch.tensor(published()['mixture'][1]['scores']))
    table = model.score_labels(dict(network_scores=scores), labels)
    assert torch.allclose(
        table['noise_score'],
        0.999 * (1 - table['clean_probability_2']) + 0.001 * (1 - given),
    )


def test_without_its_hook_it_does_not_train():
    model = build()
    logits, labels = random_batch(0)
    with pytest.raises(RuntimeError, match='NoiseModelHook'):
        joint(model, logits, labels)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(exchange='none'), "exchange must be 'swap', 'own' or 'mean', got 'none'"),
        (dict(preset='code'), "preset must be 'default', .* got 'code'"),
        (dict(reduction='max'), 'reduction'),
        (dict(consistency='kl'), "consistency must be 'squared' or 'symmetric_kl'"),
        (dict(consistency_weight=-1.0), 'consistency_weight'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_presets_yield_to_what_is_given():
    model = build(
        preset='official', score_source='epoch', noise_model=dict(table_size=50)
    )
    assert model.score_source == 'epoch'
    for noise_model in model.noise_models:
        assert noise_model.table_size == 50
        assert noise_model.monotone == 'right'
        assert not noise_model.mixture.fix_order
    model = build(preset='official', noise_model=dict(mixture=dict(iterations=3)))
    assert model.noise_models[0].mixture.iterations == 3
    assert not model.noise_models[0].mixture.fix_order
    assert build(preset='paper').noise_models[0].table_size is None
    assert build(preset='official').score_source == 'augmented_pass'
    # The repair of the other end, for losses.
    model = build(preset='official', noise_model=dict(agreement='loss'))
    assert model.noise_models[0].monotone == 'left'
