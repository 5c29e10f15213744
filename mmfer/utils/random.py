"""Random states: seeding, drawing aside, restoring."""

import random
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded_random_state(*entropy: int):
    """Seed ``random``, ``numpy.random`` and ``torch`` inside the block.

    Transforms of mmcv, mmpretrain and torchvision draw from these three
    global states, so this is what makes their draws a function of
    ``entropy`` alone. All states are put back afterwards.
    """
    sequence = np.random.SeedSequence(entropy)
    words = sequence.generate_state(2)
    python_state, torch_state = random.getstate(), torch.get_rng_state()
    # Swapping the generator costs a tenth of saving and restoring its state.
    numpy_generator = np.random.get_bit_generator()
    random.seed(int(words[0]))
    np.random.set_bit_generator(np.random.PCG64(sequence))
    # torch.manual_seed would also queue a call for CUDA, at 30 times the cost.
    torch.default_generator.manual_seed(int(words[1]))
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_bit_generator(numpy_generator)
        torch.set_rng_state(torch_state)


@contextmanager
def random_state_kept():
    """Restore the global random states on exit."""
    states = random.getstate(), np.random.get_state()
    # Without a list, torch takes all GPUs, and warns of it.
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
    # torch.manual_seed queues a slow call while CUDA is not in use.
    torch.default_generator.manual_seed(int(words[2]))
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(int(words[2]))
