"""Weights from agreements: measures, table, and values at the edges."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from mmfer.models import LabelNoiseModel
from mmfer.models.label_noise_model import flatten_tails, quantile, similarity

DATA = Path(__file__).parents[1] / 'data'


def agreements(count=2000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    clean = 1 - torch.rand(count, generator=generator) ** 4
    noisy = torch.rand(count // 2, generator=generator) ** 4
    return torch.cat([clean, noisy])


def set_beta(model, alpha, beta, weight):
    """Return a fitted model with a given mixture."""
    for name, value in (('alpha', alpha), ('beta', beta), ('weight', weight)):
        getattr(model.mixture, name).copy_(torch.tensor(value))
    model.mixture.fitted.fill_(True)


def test_similarity_is_the_cosine():
    logits = (
        torch.randn(
            40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64
        )
        * 3
    )
    labels = torch.arange(40) % 6
    value = similarity(logits.log_softmax(1), labels)
    for i in range(40):
        p = logits[i].exp() / logits[i].exp().sum()
        one_hot = torch.zeros(6, dtype=torch.float64)
        one_hot[labels[i]] = 1
        cosine = (p @ one_hot) / (p.norm() * one_hot.norm())
        assert value[i].item() == pytest.approx(cosine.item(), abs=1e-12)


def test_similarity_of_extreme_predictions():
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0], [0.0, 0.0]])
    value = similarity(logits.log_softmax(1), torch.zeros(3).long())
    assert value.tolist() == pytest.approx([1, 0, math.sqrt(0.5)])


def test_loss_agreement_scales_by_quantiles():
    model = LabelNoiseModel(agreement='loss')
    log_prob = torch.randn(5, 3).log_softmax(1)
    labels = torch.tensor([0, 2, 1, 1, 0])
    measured = model.measure(log_prob, labels)
    assert measured.tolist() == [log_prob[i, y].item() for i, y in enumerate(labels)]
    values = -torch.linspace(0, 10, 101).flip(0)
    values[0] = -1e6  # an outlier
    model.fit(values)
    assert model.mixture.fitted
    assert model.bounds.tolist() == pytest.approx([-9.5, -0.5])
    outlier = model.is_outlier(torch.tensor([-20.0, -9.4, -0.6, -0.4, torch.nan]))
    assert outlier.tolist() == [True, False, False, True, False]
    assert model.scale(torch.tensor([-20.0, -5.0, 0.0])).tolist() == pytest.approx(
        [0, 0.5, 1], abs=0.01
    )


def test_quantile_against_numpy():
    values = torch.randn(501, generator=torch.Generator().manual_seed(0))
    for q in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert quantile(values, q).item() == pytest.approx(
            np.quantile(values.numpy(), q), rel=1e-6
        )


def beta_losses(right, wrong, count=20000, share=0.3):
    """Losses of predictions of given labels, and which labels are wrong."""
    rng = np.random.default_rng(0)
    bad = np.arange(count) < share * count
    predicted = np.where(bad, rng.beta(*wrong, count), rng.beta(*right, count))
    return -np.log(predicted), bad


def weights_of_arazo(losses, clamp=False):
    """Clean probabilities by Arazo et al., in float64 and in terms of losses.

    With ``clamp``, losses outside of the quantiles are moved to them instead.
    """
    low, high = np.percentile(losses, 5), np.percentile(losses, 95)

    def scaled(values):
        values = (values - low) / (high - low + 1e-6)
        values = np.where(values >= 1, 1 - 1e-3, values)
        return np.where(values <= 0, 1e-3, values)

    fitted = losses if clamp else losses[(losses >= low) & (losses <= high)]
    x = np.clip(scaled(fitted), 1e-4, 1 - 1e-4)
    alpha, beta, weight = [1.0, 2.0], [2.0, 1.0], [0.5, 0.5]  # clean, noisy
    for _ in range(10):
        joint = [weight[k] * stats.beta.pdf(x, alpha[k], beta[k]) for k in range(2)]
        joint = np.maximum(joint, 1e-12)
        shares = joint / joint.sum(axis=0)
        for k, share in enumerate(shares):
            mean = (share * x).sum() / share.sum()
            variance = (share * (x - mean) ** 2).sum() / share.sum()
            alpha[k] = mean * (mean * (1 - mean) / variance - 1)
            beta[k] = alpha[k] * (1 - mean) / mean
            weight[k] = share.mean()
    grid = np.clip(np.arange(100) / 99, 1e-12, 1 - 1e-12)
    clean, noisy = (
        weight[k] * stats.beta.pdf(grid, alpha[k], beta[k]) for k in range(2)
    )
    posterior = noisy / (clean + noisy)
    # Not smaller for losses that are larger.
    posterior[posterior.argmax() :] = posterior.max()
    index = np.minimum((100 * scaled(losses)).astype(int), 99)
    return np.clip(1 - posterior[index], 1e-4, 1 - 1e-4)


PUBLISHED = dict(
    agreement='loss',
    monotone='published',
    min_separation=None,
    mixture=dict(fix_order=False),
)


@pytest.mark.parametrize('right, wrong', [((6, 1.2), (1, 7)), ((1.5, 1), (0.6, 3))])
def test_loss_rows_against_arazo(right, wrong):
    losses, bad = beta_losses(right, wrong)
    expected = weights_of_arazo(losses)
    values = -torch.from_numpy(losses)
    model = LabelNoiseModel(**PUBLISHED)
    assert model.fit(values)
    weights = model.weigh(values).numpy()
    np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5)
    # The repair is at the large losses: no larger loss has a larger weight.
    assert (np.diff(weights[np.argsort(losses)[-5000:]]) <= 0).all()
    # Point masses at both ends would give wrong labels larger weights.
    assert weights[bad].mean() < weights_of_arazo(losses, clamp=True)[bad].mean()


def test_repair_by_agreement():
    assert LabelNoiseModel(monotone='published').monotone == 'right'
    assert LabelNoiseModel(agreement='loss', monotone='published').monotone == 'left'


def test_losses_of_few_samples():
    """With two losses, both are outside of the quantiles."""
    for losses in ([0.3], [0.3, 2.0], [0.3, 0.3, 0.3], [0.1, 0.2, 2.0]):
        model = LabelNoiseModel(agreement='loss', min_separation=None)
        assert model.fit(-torch.tensor(losses))
        assert model.weigh(-torch.tensor(losses)).isfinite().all()


def test_threshold_selects():
    model = LabelNoiseModel(threshold=0.6)
    scores = torch.tensor([0.1, 0.59, 0.6, 0.99])
    assert model.weigh(scores).tolist() == [1] * 4  # before the first fit
    model.fit(agreements())
    assert model.weigh(scores).tolist() == pytest.approx([0, 0, 1, 1], abs=2e-4)


def test_published_table():
    published = json.loads((DATA / 'published_resup.json').read_text())
    for entry in published['mixture']:
        model = LabelNoiseModel(
            monotone='right', min_separation=None, mixture=dict(fix_order=False)
        )
        model.fit(torch.tensor(entry['scores'], dtype=torch.float64))
        assert model.table.tolist() == pytest.approx(entry['table'], abs=1e-6)


@pytest.mark.parametrize(
    'mode, table, expected',
    [
        ('none', [0.9, 0.2, 0.1, 0.5, 0.8], [0.9, 0.2, 0.1, 0.5, 0.8]),
        ('right', [0.9, 0.2, 0.1, 0.5, 0.8], [0.9] * 5),
        ('both', [0.9, 0.2, 0.1, 0.5, 0.8], [0.1, 0.1, 0.1, 0.5, 0.8]),
        ('both', [0.7, 0.2, 0.1, 0.5, 0.8], [0.1, 0.1, 0.1, 0.5, 0.8]),
        # Hills. The right end may be lower than the left one, and the curve may
        # reach that value before its end.
        ('both', [0.2, 0.5, 0.9, 0.4, 0.3], [0.2, 0.5, 0.9, 0.9, 0.9]),
        ('both', [0.2, 0.5, 0.9, 0.4, 0.1], [0.2, 0.5, 0.9, 0.9, 0.9]),
        ('both', [0.2, 0.5, 0.9, 0.0, 0.0], [0.2, 0.5, 0.9, 0.9, 0.9]),
        ('right', [0.2, 0.5, 0.9, 0.4, 0.1], [0.2, 0.5, 0.9, 0.9, 0.9]),
        ('left', [0.9, 0.2, 0.1, 0.5, 0.8], [0.1, 0.1, 0.1, 0.5, 0.8]),
        ('left', [0.2, 0.5, 0.9, 0.4, 0.3], [0.2, 0.5, 0.9, 0.4, 0.3]),
        ('left', [0.2, 0.5, 0.9, 0.4, 0.1], [0.1] * 5),
        # Monotone curves.
        ('both', [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]),
        ('both', [0.0, 0.0, 0.3, 1.0, 1.0], [0.0, 0.0, 0.3, 1.0, 1.0]),
    ],
)
def test_flatten_tails(mode, table, expected):
    table = torch.tensor(table)
    before = table.clone()
    assert flatten_tails(table, mode).tolist() == pytest.approx(expected)
    assert torch.equal(table, before)  # a new table


def test_a_narrow_clean_hump_over_broad_noise():
    """The posterior may be smallest at 1, in a fit to early predictions."""
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.beta(1, 2, 4000), rng.beta(10, 12, 6000)])
    model = LabelNoiseModel()
    assert model.fit(torch.from_numpy(scores))
    weights = model.weigh(torch.linspace(0, 1, 200))
    assert (weights.diff() >= 0).all()
    assert weights[0] < 0.05 and weights[-1] > 0.7


def test_scores_at_the_ends():
    """Scores reach 0 and 1 in float32; ReSup's code moves them inwards first."""
    scores = torch.tensor([0.0, 1e-5, 0.5, 1 - 1e-5, 1.0])
    assert LabelNoiseModel().scale(scores).tolist() == pytest.approx(
        [1e-3, 1e-5, 0.5, 1 - 1e-5, 1 - 1e-3]
    )
    assert torch.equal(LabelNoiseModel(edge=0.0).scale(scores), scores)


@pytest.mark.parametrize(
    'options', [dict(), dict(table_size=None, monotone='none'), dict(agreement='loss')]
)
def test_nan_does_not_stop_the_weighing(options):
    model = LabelNoiseModel(**options)
    model.fit(agreements() if 'agreement' not in options else -agreements())
    weights = model.weigh(torch.tensor([0.5, float('nan')]))
    assert weights.shape == (2,) and weights[0].isfinite()


def test_reset():
    model = LabelNoiseModel()
    model.fit(agreements())
    model.reset()
    assert not model.fitted and model.weigh(torch.rand(5)).eq(1).all()


def test_a_maximum_at_the_left_end_does_not_flatten_everything():
    """With noisy Beta(2.5, 1.2) and clean Beta(.9, .5), p(clean) is 1 at 0."""
    both, right = (
        LabelNoiseModel(monotone=mode, min_separation=None)
        for mode in ('both', 'right')
    )
    grid = torch.linspace(0, 1, 100, dtype=torch.float64)
    for model in (both, right):
        set_beta(model, [2.5, 0.9], [1.2, 0.5], [0.3, 0.7])
        model.table.copy_(flatten_tails(model.mixture.posterior(grid), model.monotone))
    assert right.weigh(torch.tensor([0.01, 0.5, 0.99])).min() > 0.99
    low, middle, high = both.weigh(torch.tensor([0.01, 0.5, 0.99])).tolist()
    assert low <= middle < high
    assert (both.table.diff() >= 0).all()


@pytest.mark.parametrize('mode', ['both', 'right', 'none'])
def test_weights_are_the_posterior_at_the_grid_point(mode):
    model = LabelNoiseModel(monotone=mode)
    assert model.fit(agreements())
    mixture = model.mixture
    for score in (0.35, 0.5, 0.777):
        point = int(score * 100) / 99
        joint = [
            float(mixture.weight[k])
            * stats.beta.pdf(point, float(mixture.alpha[k]), float(mixture.beta[k]))
            for k in range(2)
        ]
        assert model.weigh(torch.tensor([score])).item() == pytest.approx(
            joint[1] / sum(joint), abs=1e-6
        )


def test_exact_posterior():
    model = LabelNoiseModel(table_size=None, monotone='none', margin=0.0)
    model.fit(agreements())
    scores = torch.rand(100)
    assert torch.equal(model.weigh(scores), model.mixture.posterior(scores).float())


@pytest.mark.parametrize('size', [10, 100, 5000])
def test_table_size(size):
    model = LabelNoiseModel(table_size=size)
    model.fit(agreements())
    weights = model.weigh(torch.linspace(0, 1, 1000))
    assert (weights.diff() >= 0).all()
    assert weights[0] >= 1e-4 and weights[-1] <= 1 - 1e-4
    assert len(weights.unique()) <= size


def test_before_the_first_fit_all_weigh_one():
    for options in (dict(), dict(table_size=None, monotone='none')):
        model = LabelNoiseModel(**options)
        assert not model.fitted
        assert model.weigh(torch.rand(7)).tolist() == [1.0] * 7


def test_a_fit_that_tells_nothing_is_not_taken():
    flat = torch.full((500,), 0.4) + 0.001 * torch.rand(500)
    model = LabelNoiseModel()
    with pytest.warns(UserWarning, match='switched off'):
        assert not model.fit(flat)
    assert not model.fitted and model.weigh(flat).eq(1).all()
    assert model.fit(agreements())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.warns(UserWarning, match='stays as it was'):
        assert not model.fit(flat)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert LabelNoiseModel(min_separation=None).fit(flat)


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(agreement='loss'),
        dict(mixture=dict(type='GaussianMixture')),
        dict(table_size=None, monotone='none'),
    ],
)
def test_state_holds_everything(options):
    model, copy = LabelNoiseModel(**options), LabelNoiseModel(**options)
    values = agreements()
    model.fit(values if not options.get('agreement') else -values)
    copy.load_state_dict(model.state_dict())
    probe = torch.rand(50) - (0.5 if options.get('agreement') else 0)
    assert torch.equal(model.weigh(probe), copy.weigh(probe))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(agreement='margin'), "agreement must be .* got 'margin'"),
        (dict(monotone='up'), 'monotone must be'),
        (dict(table_size=None), 'needs a table'),
        (dict(table_size=1), 'at least 2'),
        (dict(threshold=2.0), r'threshold must lie in \[0, 1\]'),
        (dict(quantiles=0.5), r'quantiles must be two numbers .* got 0.5'),
        (dict(quantiles=(0.9, 0.1)), r'quantiles must be two numbers'),
        (dict(margin=0.5), r'margin must lie in \[0, 0.5\), got 0.5'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        LabelNoiseModel(**options)
