"""Draw at which moments runs are killed."""

import signal
from collections import Counter
from itertools import cycle, islice
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence

import numpy as np

from .events import PHASES, WRITE, Order
from .tiny_runs import METHODS

# Kinds of kills, in an order in which at least every second one is mid-epoch or in a
# file write, however many of them are made.
ORDINARY = (
    'write',
    'time',
    'iteration',
    'validation',
    'write',
    'signal',
    'iteration',
) + ('scores', 'write', 'iteration', 'write', 'time', 'signal')
CLEANING = (
    'write',
    'attack',
    'inner',
    'time',
    'write',
    'splitting',
    'inner',
    'attack',
) + ('write', 'iteration', 'write', 'signal', 'scores')
KINDS = tuple(dict.fromkeys((*ORDINARY, *CLEANING)))
"""Kinds of kills.

- ``time``: at a random time
- ``write``: inside a file write, at one of :data:`.events.PHASES`
- ``iteration``: after an iteration of the run that does not end an epoch
- ``validation``: after a batch of a validation
- ``scores``: after a batch of a pass over the training set
- ``inner``: like ``iteration``, in a training inside of GAAVE
- ``attack``: before a step of GAAVE's attack
- ``splitting``: before GAAVE splits, finds thresholds or decides
- ``signal``: SIGTERM or SIGINT instead of SIGKILL, at a random time or at one of the
  other events that are no file writes
"""
HALF = ('write', 'iteration', 'inner')
"""Kinds that are inside a file write or mid-epoch."""
# A kill early in a run leaves something for the next one.
EARLY = ('splitting', 'inner', 'attack')
LATE = ('validation', 'scores')
MOST_KILLS = 3
"""Kills of one run, at most."""


class Planned(NamedTuple):
    """A kill that is to be made.

    Attributes:
        kind (str): One of :data:`KINDS`.
        signum (int): Signal.
        order (Order, optional): Event at which the run gets it.
        share (float): Share of the time of a run after which it gets the signal, if
            there is no event.
        victim (int): Process that gets it, if it does not go to all of them.
    """

    kind: str
    signum: int
    order: Optional[Order]
    share: float = 0.0
    victim: int = 0


def wanted_kinds(method: str, count: int) -> Counter:
    """Return how many kills of each kind a method gets."""
    deck = CLEANING if method == 'gaave' else ORDINARY
    return Counter(islice(cycle(deck), count))


def generator(seed: int, method: str, *further: int) -> np.random.Generator:
    """Return the random numbers of a run or of one attempt."""
    return np.random.default_rng([seed, METHODS.index(method), *further])


def kinds_of_run(left: Counter, rng: np.random.Generator) -> List[str]:
    """Draw the kinds of the kills of one run, early ones first.

    Args:
        left (Counter): Kinds of the kills that are still to be made.
        rng (np.random.Generator): Source of the draws.
    """
    deck = sorted(left.elements())
    count = min(len(deck), int(rng.integers(1, MOST_KILLS + 1)))
    chosen = [deck[i] for i in rng.permutation(len(deck))[:count]]
    return sorted(chosen, key=lambda kind: (kind in LATE) - (kind in EARLY))


def draw_kill(
    kind: str,
    events: Sequence[str],
    done: int,
    used: Dict[str, int],
    rng: np.random.Generator,
    processes: int = 1,
) -> Optional[Planned]:
    """Draw the moment of a kill.

    Args:
        kind (str): One of :data:`KINDS`.
        events (Sequence[str]): Events of a run that was not killed.
        done (int): Number of these events that are over already.
        used (dict): Number of kills of each kind of file so far.
        rng (np.random.Generator): Source of the draws.
        processes (int): Number of processes of the run.

    Returns:
        Planned, optional: The kill; None if no event of this kind is left.
    """
    signum = signal.SIGKILL
    if kind == 'signal':
        signum = signal.SIGTERM if rng.random() < 0.5 else signal.SIGINT
    if kind == 'time' or (kind == 'signal' and rng.random() < 0.3):
        share = done / len(events)
        return Planned(kind, signum, None, 0.1 + 0.8 * rng.random() * (1 - share))
    left = [event.split(' ', 1) for event in events[done:]]
    if kind == 'signal':
        left = [event for event in left if event[0] != WRITE]
        wanted = str(rng.choice(sorted({event[0] for event in left}))) if left else ''
    else:
        wanted = kind
    left = [event for event in left if event[0] == wanted]
    if not left:
        return None
    detail, phase = '', ''
    if wanted == WRITE:
        detail = draw_file((name for _, name in left), used, rng)
        phase = draw(PHASES, rng)
        left = [event for event in left if event[1] == detail]
    victim = int(rng.integers(processes))
    # Files are written by the first process only.
    alone = processes > 1 and signum == signal.SIGKILL and rng.random() < 0.5
    order = Order(
        wanted, int(rng.integers(1, len(left) + 1)), signum, detail, phase, alone
    )
    return Planned(kind, signum, order, victim=0 if wanted == WRITE else victim)


def draw(choices: Sequence[str], rng: np.random.Generator) -> str:
    """Return one of several texts."""
    return choices[int(rng.integers(len(choices)))]


def draw_file(
    names: Iterable[str], used: Dict[str, int], rng: np.random.Generator
) -> str:
    """Return one of the kinds of files in whose writes the fewest kills were."""
    kinds = sorted(set(names))
    fewest = min(used.get(name, 0) for name in kinds)
    return draw([name for name in kinds if used.get(name, 0) == fewest], rng)


def position(events: Sequence[str], lines: Sequence[str], before: int) -> int:
    """Return how many events of a run are over when it was killed.

    Args:
        events (Sequence[str]): Events of a run that was not killed.
        lines (Sequence[str]): Events of the killed run.
        before (int): Result for its earlier attempts.
    """
    known = {event: index for index, event in enumerate(events)}
    return max([before, *(known[line] + 1 for line in lines[-1:] if line in known)])
