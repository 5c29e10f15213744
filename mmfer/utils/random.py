"""Global random states: seed them, restore them.

Each of the three functions is for another place:

- :func:`seed_everything` before each training iteration. The model draws on
  any device afterwards, so CUDA is seeded too, and nothing is restored.
- :func:`seeded_random_state` around the transforms of each sample, in a
  worker on the CPU. It is called for every image, so it must be cheap.
- :func:`random_state_kept` around code that must not change the run, such as a
  check. It seeds nothing, and restores the states on the CPU and on the current
  GPU.

Draws that belong to a training step as a whole, such as a permutation of the
batch, use none of these states: :func:`step_key` gives them keys that are the
same in all processes.
"""

import math
import random
import zlib
from collections import Counter
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Tuple
from typing import Counter as CounterType

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


# Seed and number of the current training step; None outside of training steps.
_step: Optional[Tuple[int, int]] = None
# How often each draw was already made in this step.
_draws: CounterType[str] = Counter()


def set_step(seed: int, step: int) -> None:
    """Begin a training step, of which draws depend on ``seed`` and ``step``.

    Args:
        seed (int): Seed of the run, the same in all processes.
        step (int): Number of the iteration, >= 0.
    """
    global _step
    _step = (seed, step)
    _draws.clear()


def clear_step() -> None:
    """End a training step. Later draws come from torch's global random states."""
    global _step
    _step = None
    _draws.clear()


def step_key(name: str) -> Optional[int]:
    """Return the key of the next draw of this name in the current step.

    The key depends on the seed, the step, the name, and on how often a draw of
    this name was already made in the step. It is the same in all processes and
    on all devices.

    Args:
        name (str): Name of the draw, such as ``'partners'``.

    Returns:
        int, optional: In [0, 2^63). None outside of a training step.
    """
    if _step is None:
        return None
    entropy = (*_step, zlib.crc32(name.encode()), _draws[name])
    _draws[name] += 1
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1


def step_permutation(
    count: int, name: str, device: Optional[torch.device] = None
) -> torch.Tensor:
    """Draw a permutation that is the same in all processes.

    Outside of a training step, torch's global random state is used.

    Args:
        count (int): Number of indices.
        name (str): Name of the draw, see :func:`step_key`.
        device (torch.device, optional): Device of the result.

    Returns:
        Tensor: int64 (count, ).
    """
    key = step_key(name)
    if key is None:
        return torch.randperm(count, device=device)
    # On the CPU, because a GPU would draw another permutation from the same key.
    generator = torch.Generator().manual_seed(key)
    return torch.randperm(count, generator=generator).to(device, non_blocking=True)


def keyed_normal(
    key: int, rows: torch.Tensor, width: int
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return two standard normal draws for each row, as a function of key and row.

    A row has the same values on each device, up to rounding, and whichever other
    rows are asked for. Each number is a hash (SplitMix64) of its position.
    Box and Muller's equation makes two normal numbers of it. This takes about 25
    operations, a tenth of those of :func:`~mmfer.utils.counter_random.normals`,
    because several layers draw in each step, and bits need not be equal on all
    devices.

    Args:
        key (int): Result of :func:`step_key`.
        rows (Tensor): Numbers of the rows, int64 (B, ).
        width (int): Numbers in a row.

    Returns:
        tuple[Tensor, Tensor]: Two independent draws, each float32 (B, width).
    """
    columns = torch.arange(width, device=rows.device)
    # Products of int64 keep their low 64 bits. A shift of a negative number
    # repeats the sign, so each `z ^ (z >> n)` loses the sign bit; 63 are enough.
    z = (rows[:, None] * width + columns).mul_(-0x61C8864680B583EB).add_(key)
    z.bitwise_xor_(z >> 30).mul_(-0x40A7B892E31B1A47)
    z.bitwise_xor_(z >> 27).mul_(-0x6B2FB644ECCEEE15)
    z.bitwise_xor_(z >> 31)
    # Uniform in (0, 1) from the high 31 bits, an angle from the low 32.
    radius = (z >> 32).float().add_(0.5).mul_(2.0**-31).log_().mul_(-2).sqrt_()
    angle = z.bitwise_and_(0xFFFFFFFF).float().mul_(2 * math.pi * 2.0**-32)
    return angle.cos().mul_(radius), angle.sin_().mul_(radius)
