"""Co-teaching and JoCoR against loops."""

import copy
import math

import pytest
import torch
from helpers import TINY_CLASSIFIER

from mmfer.models.small_loss import num_kept, ramp
from mmfer.registry import MODELS


def build(method, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type=method,
            network1=copy.deepcopy(TINY_CLASSIFIER),
            data_preprocessor=dict(input_shape=(1, 16, 16), num_classes=4),
            **options,
        )
    )


def random_batch(seed, count=10, classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(
        2, count, classes, generator=generator, dtype=torch.float64
    )
    return logits, torch.randint(classes, (count,), generator=generator)


def joint(model, logits, labels):
    log_prob = [x.log_softmax(dim=1) for x in logits]
    return model.joint_loss(log_prob, labels, model.measure(log_prob, labels))


def probabilities(row):
    exps = [math.exp(v) for v in row.tolist()]
    return [e / sum(exps) for e in exps]


@pytest.mark.parametrize('seed', range(5))
def test_coteaching_against_loops(seed):
    model = build('CoTeaching', noise_rate=0.3)
    model.start_epoch(20)
    logits, labels = random_batch(seed)
    losses = [
        [
            -math.log(probabilities(logits[k][b])[y])
            for b, y in enumerate(labels.tolist())
        ]
        for k in range(2)
    ]
    computed = joint(model, logits, labels)
    for k in range(2):
        other = losses[1 - k]
        picked = sorted(range(10), key=lambda b: other[b])[:7]
        assert computed[f'loss_network{k + 1}'].item() == pytest.approx(
            sum(losses[k][b] for b in picked) / 7, abs=1e-9
        )


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('factor', [0.0, 0.65])
def test_jocor_against_loops(seed, factor):
    model = build('JoCoR', noise_rate=0.5, agreement_weight=factor)
    model.start_epoch(20)
    logits, labels = random_batch(seed)
    values = []
    for b, y in enumerate(labels.tolist()):
        p, q = (probabilities(logits[k][b]) for k in range(2))
        divergence = sum(
            u * math.log(u / v) + v * math.log(v / u) for u, v in zip(p, q)
        )
        values.append(
            (1 - factor) * -(math.log(p[y]) + math.log(q[y])) + factor * divergence
        )
    assert joint(model, logits, labels)['loss'].item() == pytest.approx(
        sum(sorted(values)[:5]) / 5, abs=1e-9
    )


def test_jocor_pulls_both_networks():
    model = build('JoCoR', noise_rate=0.0)
    model.start_epoch(0)
    logits, labels = random_batch(0)
    logits.requires_grad_()
    joint(model, logits, labels)['loss'].backward()
    assert (logits.grad.abs().sum(dim=(1, 2)) > 0).all()


@pytest.mark.parametrize('method', ['CoTeaching', 'JoCoR'])
def test_forget_rate(method):
    model = build(method, noise_rate=0.4, ramp_epochs=5)
    rates = []
    for epoch in range(7):
        model.start_epoch(epoch)
        rates.append(model.forget_rate)
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_unknown_rate_is_that_of_the_mixtures():
    model = build('CoTeaching', ramp_epochs=1)
    model.start_epoch(0)
    assert model.forget_rate == 0
    generator = torch.Generator().manual_seed(0)
    clean = 1 - torch.rand(2, 7000, generator=generator) ** 4
    noisy = torch.rand(2, 3000, generator=generator) ** 4
    model.fit_noise_models(torch.cat([clean, noisy], dim=1))
    model.start_epoch(1)
    rates = [m.mixture.noise_rate for m in model.noise_models]
    assert model.forget_rate == pytest.approx(sum(rates) / 2)
    assert model.forget_rate == pytest.approx(0.3, abs=0.1)
    # Only fitted models count, and the rate is at most that of random labels.
    model.noise_models[0].reset()
    model.start_epoch(2)
    assert model.forget_rate == pytest.approx(rates[1])
    model.noise_models[1].mixture.weight.copy_(torch.tensor([0.99, 0.01]))
    model.start_epoch(3)
    assert model.forget_rate == pytest.approx(3 / 4)


def test_estimated_rate_is_named(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmfer.models.small_loss.print_log', lambda text, *_, **__: said.append(text)
    )
    build('JoCoR', noise_rate=0.3).check_schedule(10)
    assert not said
    build('JoCoR').check_schedule(10)
    assert 'model.noise_rate is not given' in said[0]


def test_edges():
    assert [ramp(e, 1) for e in (0, 1, 5)] == [0, 1, 1]
    assert num_kept(10, 0.0) == 10 and num_kept(10, 0.999) == 1
    assert num_kept(1, 0.5) == 1
    for method in ('CoTeaching', 'JoCoR'):
        model = build(method, noise_rate=0.9, ramp_epochs=1)
        model.start_epoch(1)
        logits, labels = random_batch(0, count=1)
        assert all(v.isfinite() for v in joint(model, logits, labels).values())


@pytest.mark.parametrize(
    'options, message',
    [(dict(noise_rate=1.0), 'noise_rate'), (dict(ramp_epochs=0), 'ramp_epochs')],
)
def test_bad_options(options, message):
    for method in ('CoTeaching', 'JoCoR'):
        with pytest.raises(ValueError, match=message):
            build(method, **options)
    with pytest.raises(ValueError, match='agreement_weight'):
        build('JoCoR', agreement_weight=1.0)
