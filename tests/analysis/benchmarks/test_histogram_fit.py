"""A histogram of the scores is enough for the fit of a mixture."""

import pytest
import torch

from mmfer.analysis.benchmarks.histogram_fit import (
    FAMILIES,
    GRID,
    compare_fits,
    fit_to_histogram,
    histogram,
    made_scores,
)

COUNT = 20_000


@pytest.fixture(scope='module')
def shapes():
    return made_scores(COUNT)


def test_histogram():
    scores = torch.tensor([0.0, 0.24, 0.25, 0.99, 1.0])
    assert histogram(scores, 4).tolist() == [2, 1, 0, 2]


@pytest.mark.parametrize('family', FAMILIES)
def test_a_bin_stands_for_its_scores(family):
    """If all scores are centres of bins, both fits are the same."""
    centres = (torch.arange(64).double() + 0.5) / 64
    counts = torch.randint(0, 9, (64,), generator=torch.Generator().manual_seed(0))
    full = FAMILIES[family](fix_order=False).fit(centres.repeat_interleave(counts))
    binned = fit_to_histogram(FAMILIES[family](fix_order=False), counts)
    torch.testing.assert_close(full.posterior(GRID), binned.posterior(GRID))
    torch.testing.assert_close(full.weight, binned.weight)


@pytest.mark.parametrize('shape', ['overlapping', 'narrow', 'similarities'])
@pytest.mark.parametrize('family', FAMILIES)
def test_enough_bins(shapes, shape, family):
    """16,384 bins change the posterior less than other samples would."""
    found = compare_fits(shapes[shape], family, [16_384], draws=3)
    assert found['bins_16384'] < 2e-3
    assert found['bins_16384'] < found['drawn_again'] / 5
