"""The global batch in one process; ``tests/test_ddp.py`` has two."""

import torch

from mmfer.models.gathering import gather_batch, own_images, own_normal, step_normal
from mmfer.utils.random import clear_step, set_step


def test_one_process_has_the_whole_batch():
    x = torch.randn(4, 3)
    assert gather_batch(x) is x
    assert own_images(x) is x


def test_draws_outside_of_a_step_come_from_the_global_state():
    like = torch.empty(0, dtype=torch.float64)
    torch.manual_seed(0)
    drawn = step_normal('noise', 4, 3, like)
    torch.manual_seed(0)
    for values in drawn:
        assert torch.equal(values, torch.randn(4, 3, dtype=torch.float64))


def test_draws_of_a_step_belong_to_positions():
    like = torch.empty(0, dtype=torch.float64)
    large, small = own_normal(5, 8, 3, like), own_normal(5, 4, 3, like)
    for whole, part in zip(large, small, strict=True):
        assert part.dtype == torch.float64
        torch.testing.assert_close(whole[:4], part, rtol=1e-6, atol=1e-6)
    drawn = []
    for state in range(2):
        torch.manual_seed(state)
        set_step(1, 2)
        drawn.append(torch.stack(step_normal('noise', 4, 3, like)))
        clear_step()
    assert torch.equal(*drawn)
