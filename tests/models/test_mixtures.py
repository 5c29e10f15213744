"""Mixtures against scipy, scikit-learn and published values; bad scores."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture as SklearnMixture

from mmfer.models import BetaMixture, ClusteredGaussianMixture, GaussianMixture
from mmfer.models.mixtures import two_clusters

DATA = Path(__file__).parents[1] / 'data'
BOTH = pytest.mark.parametrize('family', [BetaMixture, GaussianMixture])


def draw_betas(parameters, share, count, seed=0):
    """Return ``count`` draws, a ``share`` of them from the first beta."""
    rng = np.random.default_rng(seed)
    first = int(share * count)
    return torch.from_numpy(
        np.concatenate(
            [rng.beta(*parameters[0], first), rng.beta(*parameters[1], count - first)]
        )
    )


def fit_by_loops(scores, iterations):
    """Run EM as in Arazo et al., one sample at a time."""
    alpha, beta, weight = [1.0, 2.0], [2.0, 1.0], [0.5, 0.5]
    scores = [min(max(s, 1e-4), 1 - 1e-4) for s in scores]
    for _ in range(iterations):
        shares = []
        for s in scores:
            parts = [
                max(weight[k] * stats.beta.pdf(s, alpha[k], beta[k]), 1e-12)
                for k in range(2)
            ]
            shares.append([p / sum(parts) for p in parts])
        for k in range(2):
            total = sum(r[k] for r in shares)
            mean = sum(r[k] * s for r, s in zip(shares, scores)) / total
            variance = (
                sum(r[k] * (s - mean) ** 2 for r, s in zip(shares, scores)) / total
            )
            alpha[k] = mean * (mean * (1 - mean) / variance - 1)
            beta[k] = alpha[k] * (1 - mean) / mean
            weight[k] = total / len(scores)
    return alpha, beta, weight


def test_fit_against_loops():
    scores = draw_betas([(1.5, 4), (6, 1.5)], 0.4, 60)
    mixture = BetaMixture(iterations=7).fit(scores)
    expected = fit_by_loops(scores.tolist(), 7)
    for name, value in zip(('alpha', 'beta', 'weight'), expected):
        assert getattr(mixture, name).tolist() == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize('index', [0, 1])
def test_published_values(index):
    published = json.loads((DATA / 'published_resup.json').read_text())['mixture'][
        index
    ]
    mixture = BetaMixture(fix_order=False).fit(
        torch.tensor(published['scores'], dtype=torch.float64)
    )
    for name in ('alpha', 'beta', 'weight'):
        assert getattr(mixture, name).tolist() == pytest.approx(
            published[name], rel=1e-9
        ), name
    grid = torch.linspace(0, 1, 100, dtype=torch.float64)
    assert mixture.posterior(grid).tolist() == pytest.approx(
        published['raw_posterior_of_component_1'], abs=1e-6
    )


@pytest.mark.parametrize(
    'parameters, share',
    [
        (((2.0, 8.0), (9.0, 2.0)), 0.3),
        (((1.2, 6.0), (5.0, 1.1)), 0.5),
        (((3.0, 10.0), (12.0, 4.0)), 0.15),
    ],
)
def test_known_parameters_are_recovered(parameters, share):
    scores = draw_betas(parameters, share, 100_000)
    mixture = BetaMixture(iterations=200).fit(scores)
    assert mixture.noise_rate == pytest.approx(share, abs=0.01)
    for k in range(2):
        assert mixture.alpha[k].item() == pytest.approx(parameters[k][0], rel=0.06)
        assert mixture.beta[k].item() == pytest.approx(parameters[k][1], rel=0.06)


def test_posterior_and_density_against_scipy():
    mixture = BetaMixture().fit(draw_betas([(2, 7), (8, 2)], 0.3, 5000))
    grid = np.linspace(0.001, 0.999, 777)
    joint = [
        float(mixture.weight[k])
        * stats.beta.pdf(grid, float(mixture.alpha[k]), float(mixture.beta[k]))
        for k in range(2)
    ]
    total = joint[0] + joint[1]
    scores = torch.from_numpy(grid)
    assert np.abs(mixture.posterior(scores).numpy() - joint[1] / total).max() < 1e-6
    assert np.abs(mixture.density(scores).numpy() - total).max() < 1e-6
    area = np.trapezoid(total, grid)
    assert area == pytest.approx(1, abs=0.01)


def test_gaussian_against_sklearn():
    rng = np.random.default_rng(0)
    scores = np.clip(
        np.concatenate([rng.normal(0.3, 0.1, 3000), rng.normal(0.8, 0.05, 7000)]),
        1e-4,
        1 - 1e-4,
    )
    mixture = GaussianMixture(iterations=10).fit(torch.from_numpy(scores))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it did not converge, nor did we
        reference = SklearnMixture(
            2,
            max_iter=10,
            tol=0.0,
            reg_covar=0.0,
            weights_init=[0.5, 0.5],
            means_init=[[1 / 3], [2 / 3]],
            precisions_init=[[[18.0]], [[18.0]]],
        ).fit(scores[:, None])
    assert mixture.center.tolist() == pytest.approx(reference.means_.ravel(), abs=1e-8)
    assert mixture.variance.tolist() == pytest.approx(
        reference.covariances_.ravel(), abs=1e-8
    )
    assert mixture.weight.tolist() == pytest.approx(reference.weights_, abs=1e-8)
    grid = np.linspace(0.01, 0.99, 99)
    assert mixture.posterior(torch.from_numpy(grid)).numpy() == pytest.approx(
        reference.predict_proba(grid[:, None])[:, 1], abs=1e-8
    )


SCORES = {
    'constant': [0.4] * 50,
    'all 0': [0.0] * 50,
    'all 1': [1.0] * 50,
    '0 and 1': [0.0] * 20 + [1.0] * 30,
    'one': [0.3],
    'two': [0.2, 0.9],
    'two alike': [0.5, 0.5],
    'one outlier': [0.999] * 1000 + [0.0],
    'one hump': np.random.default_rng(0).beta(50, 50, 500).tolist(),
    'rounding': [1 - 1e-17, 1e-300, 0.5, 0.5 + 1e-16],
}


@BOTH
@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize('iterations', [1, 10, 100])
def test_never_nan(family, name, iterations):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        mixture = family(iterations=iterations).fit(
            torch.tensor(SCORES[name], dtype=torch.float64)
        )
    for buffer in mixture.buffers():
        assert buffer.isfinite().all()
    assert (mixture.weight > 0).all()
    assert mixture.weight.sum().item() == pytest.approx(1)
    grid = torch.linspace(0, 1, 1001)
    posterior = mixture.posterior(grid)
    assert posterior.isfinite().all()
    assert (posterior >= 0).all() and (posterior <= 1).all()
    assert mixture.density(grid).isfinite().all()


def test_swapped_components():
    """From some starts EM takes the component of better agreement for noisy."""
    scores = torch.linspace(0.05, 0.95, 19).double()

    class Reversed(BetaMixture):
        def reset(self):
            super().reset()
            self.alpha.copy_(self.alpha.flip(0))
            self.beta.copy_(self.beta.flip(0))

    plain = BetaMixture().fit(scores)
    with pytest.warns(UserWarning, match='swapped'):
        mixture = Reversed().fit(scores)
    assert mixture.separation > 0
    assert torch.equal(mixture.posterior(scores) > 0.5, plain.posterior(scores) > 0.5)
    published = Reversed(fix_order=False).fit(scores)
    assert published.separation < 0


@BOTH
def test_bad_scores(family):
    with pytest.raises(ValueError, match='no scores'):
        family().fit(torch.empty(0))
    with pytest.raises(ValueError, match='2 of 3 scores are not finite'):
        family().fit(torch.tensor([0.5, float('nan'), float('inf')]))
    with pytest.raises(ValueError, match='from 0 to 4 instead'):
        family().fit(torch.arange(5))
    with pytest.raises(ValueError, match='iteration'):
        family(iterations=0)
    with pytest.raises(ValueError, match='eps'):
        family(eps=0.5)


@BOTH
def test_state_and_shapes(family):
    scores = draw_betas([(2, 7), (8, 2)], 0.3, 500)
    mixture = family().fit(scores.view(50, 10).float())
    assert mixture.posterior(torch.rand(3, 4)).shape == (3, 4)
    assert mixture.density(torch.rand(3, 4)).shape == (3, 4)
    copy = family()
    assert not copy.fitted
    copy.load_state_dict(mixture.state_dict())
    assert copy.fitted
    assert torch.equal(copy.posterior(scores), mixture.posterior(scores))
    # A second fit does not depend on the first.
    again = mixture.fit(scores.float())
    assert torch.equal(copy.weight, again.weight)
    assert 'weight=(' in repr(mixture) and 'not fitted' in repr(family())


@BOTH
def test_in_a_model_of_lower_precision(family):
    scores = draw_betas([(2, 7), (8, 2)], 0.3, 500)
    mixture = family().fit(scores)
    expected = mixture.posterior(torch.linspace(0, 1, 11))
    posterior = mixture.float().posterior(torch.linspace(0, 1, 11))
    assert posterior.numpy() == pytest.approx(expected.numpy(), abs=1e-4)
    # At 1, log(1 - s) is infinite.
    assert family().float().posterior(torch.ones(1)).isfinite().all()


@BOTH
def test_components_add_up_to_the_density(family):
    mixture = family().fit(draw_betas([(2, 7), (8, 2)], 0.3, 500))
    at = torch.linspace(0.01, 0.99, 99)
    both = mixture.component_densities(at)
    assert np.allclose(both.sum(dim=0), mixture.density(at))
    posterior = both[1] / both.sum(dim=0)
    assert np.allclose(posterior, mixture.posterior(at))


# For other seeds, k-means of scikit-learn stops before its clusters stay the same.
@pytest.mark.parametrize('seed', [0, 1, 3])
def test_clustered_mixture_as_scikit_learn(seed):
    """With the options of DivideMix's code, which finds the smaller mean clean."""
    rng = np.random.default_rng(seed)
    losses = np.concatenate([rng.gamma(2, 0.2, 300), rng.normal(2.5, 0.5, 150)])
    scores = 1 - (losses - losses.min()) / (losses.max() - losses.min())
    fitted = SklearnMixture(
        2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed
    ).fit(scores[:, None])
    mixture = ClusteredGaussianMixture().fit(torch.from_numpy(scores))
    order = fitted.means_[:, 0].argsort()
    for found, want in (
        (mixture.center, fitted.means_),
        (mixture.variance, fitted.covariances_),
        (mixture.weight, fitted.weights_),
    ):
        assert found.tolist() == pytest.approx(want.flatten()[order], rel=1e-6)
    want = fitted.predict_proba(scores[:, None])[:, order[1]]
    got = mixture.posterior(torch.from_numpy(scores)).numpy()
    assert got == pytest.approx(want, abs=1e-6)


def test_two_clusters():
    scores = torch.tensor([0.0, 0.1, 0.2, 0.9, 1.0, 0.55])
    assert two_clusters(scores).tolist() == [True, True, True, False, False, False]
    assert not two_clusters(torch.full((4,), 0.3)).any()
    mixture = ClusteredGaussianMixture().fit(torch.full((4,), 0.3))
    assert mixture.posterior(torch.tensor([0.0, 0.3, 1.0])).isfinite().all()


@pytest.mark.parametrize(
    'options, message',
    [(dict(tolerance=-1), 'tolerance'), (dict(added_variance=0), 'added_variance')],
)
def test_bad_options_of_the_clustered_mixture(options, message):
    with pytest.raises(ValueError, match=f'ClusteredGaussianMixture: {message} must'):
        ClusteredGaussianMixture(**options)
