"""Global random states: seed them, restore them.

Each of the three functions is for another place:

- :func:`seed_everything` before each training iteration. The model draws on
  any device afterwards, so CUDA is seeded too, and nothing is restored.
- :func:`seeded_random_state` around the transforms of each sample, in a
  worker on the CPU. It is called for every image, so it must be cheap.
- :func:`random_state_kept` around code that must not change the run, such as a
  check. It seeds nothing, and restores the states on the CPU and on the current
  GPU.
"""

import random
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np
import torch

# numpy exports these two functions, but its stubs do not list them.
_numpy_random: Any = np.random


@contextmanager
def seeded_random_state(*entropy: int) -> Iterator[None]:
    """Seed ``random``, ``numpy.random`` and ``torch`` inside the block.

    Transforms of mmcv, mmpretrain and torchvision draw from these three
    global states. Inside the block their draws depend on ``entropy`` alone.
    All three states are restored on exit.
    """
    sequence = np.random.SeedSequence(entropy)
    words = sequence.generate_state(2)
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    # Replacing numpy's generator takes a tenth of the time that saving and
    # restoring its state takes.
    numpy_generator = _numpy_random.get_bit_generator()
    random.seed(int(words[0]))
    _numpy_random.set_bit_generator(np.random.PCG64(sequence))
    _seed_torch_on_cpu(words[1])
    try:
        yield
    finally:
        random.setstate(python_state)
        _numpy_random.set_bit_generator(numpy_generator)
        torch.set_rng_state(torch_state)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the global random states on exit."""
    states = random.getstate(), np.random.get_state()
    # Without a list, torch saves the states of all GPUs and warns about it.
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def seed_everything(*entropy: int) -> None:
    """Seed ``random``, ``numpy.random`` and ``torch`` from ``entropy``."""
    words = np.random.SeedSequence(entropy).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    _seed_torch_on_cpu(words[2])
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(int(words[2]))


def _seed_torch_on_cpu(word: np.uint32) -> None:
    # torch.manual_seed would also queue a call for CUDA, at 30 times the cost.
    torch.default_generator.manual_seed(int(word))
