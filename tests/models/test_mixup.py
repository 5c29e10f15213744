"""Mixed rows, and the share of an image in them."""

import pytest
import torch

from mmfer.models.mixup import mix_rows, mixing_share
from mmfer.utils.random import clear_step, set_step


def test_rows():
    first, second = torch.randn(2, 3, 4, dtype=torch.float64)
    got = mix_rows(first, second, 0.7)
    for i in range(3):
        for j in range(4):
            want = 0.7 * float(first[i, j]) + 0.3 * float(second[i, j])
            assert float(got[i, j]) == pytest.approx(want, rel=1e-12)


def test_share():
    """It depends on seed, step and name alone, and keeps the image nearer to itself."""
    shares = {}
    for key in ((0, 1, 'a'), (0, 1, 'b'), (0, 2, 'a'), (1, 1, 'a')):
        draws = []
        for state in (0, 1):
            torch.manual_seed(state)
            set_step(*key[:2])
            draws.append(mixing_share(1.0, key[2]))
        clear_step()
        assert draws[0] == draws[1] and 0.5 <= draws[0] <= 1
        shares[key] = draws[0]
    assert len(set(shares.values())) == 4
    # Outside of a step the draw comes from torch's random state.
    torch.manual_seed(0)
    assert mixing_share(1.0, 'a') != mixing_share(1.0, 'a')
    assert mixing_share(0, 'a') == 1.0
