"""Separately wrapped parts keep the names of unwrapped ones."""

import inspect

import pytest
import torch
import torch.nn as nn
from mmengine.device import get_device
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel, ExponentialMovingAverage
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_state_dict

from mmfer.models import SeparateDataParallel


class TwoParts(BaseModel):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.BatchNorm1d(3)

    def forward(self, x):
        return self.second(self.first(x))


@pytest.fixture
def group(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_names_and_averages(group):
    torch.manual_seed(0)
    # The wrapper moves its model to the available device.
    plain = TwoParts().to(get_device())
    names = list(plain.state_dict())
    wrapped = SeparateDataParallel(TwoParts(), device_ids=None)
    assert list(wrapped.module.state_dict()) == names
    # Load as a runner does to resume, and as EMAHook does.
    load_state_dict(wrapped, plain.state_dict(), strict=True)
    assert torch.equal(wrapped.module.first.module.weight, plain.first.weight)
    average = ExponentialMovingAverage(wrapped.module)
    saved = average.state_dict()
    assert [n for n in saved if n != 'steps'] == [f'module.{n}' for n in names]
    other = ExponentialMovingAverage(
        SeparateDataParallel(TwoParts(), device_ids=None).module
    )
    other.load_state_dict(saved, strict=True)
    assert torch.equal(other.module.first.module.weight, plain.first.weight)
    # Checkpoints of a run of one process load as well.
    ExponentialMovingAverage(TwoParts()).load_state_dict(saved, strict=True)


def test_it_is_still_needed():
    """This fails once mmengine saves and loads with its own functions."""
    assert 'model.state_dict()' in inspect.getsource(Runner.save_checkpoint)
    assert 'self.ema_model.load_state_dict' in inspect.getsource(
        EMAHook.after_load_checkpoint
    )
