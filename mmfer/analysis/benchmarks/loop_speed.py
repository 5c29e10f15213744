"""Speed of the loop through the Runner, compared with the bare model step."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Dict, Iterator, List

import numpy as np
import torch
from mmengine.runner import Runner

from mmfer.utils.devices import synchronize

from .timed_runs import (
    MeasurementDone,
    batch_maker,
    network,
    ready_batches,
    train_until_done,
)
from .timing import quartiles

# Iterations before each measured part of a round, at least.
SETTLE = 2
# Images of which the main process makes batches, as a worker does.
MADE_IMAGES = 256


@dataclass
class Rounds:
    """Seconds per iteration, one number per round.

    Attributes:
        loop (list[float]): Loop through the Runner.
        bare (list[float]): Bare model step.
        data (list[float]): Part of ``loop`` in which the loop waits for data.
        hooks (list[float]): Part of ``loop`` in the hooks of an iteration.
        preprocessor (list[float]): Part of ``loop`` in the data preprocessor.
    """

    loop: List[float] = field(default_factory=list)
    bare: List[float] = field(default_factory=list)
    data: List[float] = field(default_factory=list)
    hooks: List[float] = field(default_factory=list)
    preprocessor: List[float] = field(default_factory=list)


PARTS = ('data', 'hooks', 'preprocessor')


class LoopTimer:
    """Time the loop of a Runner and bare model steps in turn, in one process.

    A round is:

    1. ``settle`` iterations of the loop, without timing. They use up the batches that
       the workers made ready during the last bare steps.
    2. ``steps`` iterations of the loop.
    3. :data:`SETTLE` bare steps without timing, then ``steps`` bare steps. A bare
       step is ``model.train_step`` on the last batch, with the output that the data
       preprocessor gave for it. So it is forward, backward and update.

    The measured iterations of a round are in one epoch. The device is synchronised at
    the beginning and at the end of the timed parts, nowhere else. So on a GPU the
    times of :data:`PARTS` are those of the CPU.

    Args:
        runner (Runner): Runner before its run.
        rounds (int): Number of rounds.
        steps (int): Iterations per part of a round.
        wait (Callable): Function that waits until the device is done.
        clock (Callable): Clock in seconds.

    Attributes:
        found (Rounds): Results so far.
        settle (int): Iterations of the loop before each timing.
    """

    def __init__(
        self,
        runner: Runner,
        rounds: int,
        steps: int,
        wait: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.runner = runner
        self.rounds, self.steps = rounds, steps
        self.wait, self.clock = wait, clock
        loader = runner.train_dataloader
        self.settle = max(SETTLE, ready_batches(loader))
        if len(loader) < self.settle + steps:
            raise ValueError(
                f'an epoch has {len(loader)} iterations, but a round takes '
                f'{self.settle} iterations to settle and {steps} to measure. Lower '
                '--steps, --batch-size or --workers, or take more images (--made).'
            )
        self.found = Rounds()
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.seen = 0
        self.start = self.step_end = 0.0
        self.ready: Any = None
        self.call_hook = runner.call_hook
        self.data_preprocessor = network(runner).data_preprocessor
        self.preprocess = self.data_preprocessor.forward
        runner.call_hook = self._timed_hooks
        self.data_preprocessor.forward = self._timed_preprocessor

    def _timed_hooks(self, name: str, **kwargs: Any) -> None:
        """Call the hooks, add up their time, and count the iterations."""
        start = self.clock()
        self.call_hook(name, **kwargs)
        end = self.clock()
        if name == 'before_train_epoch':
            self.seen = 0
        elif name == 'before_train_iter':
            self.spent['data'] += start - self.step_end
            self.spent['hooks'] += end - start
        elif name == 'after_train_iter':
            self.spent['hooks'] += end - start
            self._count_iteration()
            self.step_end = self.clock()

    def _timed_preprocessor(self, *args: Any, **kwargs: Any) -> Any:
        """Call the data preprocessor, add up its time, and keep its output."""
        start = self.clock()
        self.ready = self.preprocess(*args, **kwargs)
        self.spent['preprocessor'] += self.clock() - start
        return self.ready

    def _count_iteration(self) -> None:
        """Start or end the timing if it is time for it."""
        self.seen += 1
        if self.seen == self.settle:
            self.wait()
            self.spent = dict.fromkeys(PARTS, 0.0)
            self.start = self.clock()
        elif self.seen == self.settle + self.steps:
            self.wait()
            seconds = self.clock() - self.start
            self.found.loop.append(seconds / self.steps)
            for part in PARTS:
                getattr(self.found, part).append(self.spent[part] / self.steps)
            self.found.bare.append(self._time_bare_steps())
            self.seen = 0
            if len(self.found.loop) == self.rounds:
                raise MeasurementDone

    def _time_bare_steps(self) -> float:
        """Return the seconds of a bare step."""
        model, optim_wrapper = network(self.runner), self.runner.optim_wrapper
        with self._ready_data():
            for _ in range(SETTLE):
                model.train_step({}, optim_wrapper)
            self.wait()
            start = self.clock()
            for _ in range(self.steps):
                model.train_step({}, optim_wrapper)
            self.wait()
            return (self.clock() - start) / self.steps

    @contextmanager
    def _ready_data(self) -> Iterator[None]:
        """Replace the data preprocessor by its last output."""
        ready = self.ready
        self.data_preprocessor.forward = lambda *args, **kwargs: ready
        try:
            yield
        finally:
            self.data_preprocessor.forward = self._timed_preprocessor


def seconds_per_image(runner: Runner) -> float:
    """Return the median time in which one process makes an image of a batch.

    It is what a worker does: read, decode, transform, collate. The main process does
    it here, on one batch after another.

    Args:
        runner (Runner): Runner whose training set is used.
    """
    loader = runner.train_dataloader
    make, size = batch_maker(loader), loader.batch_size or 1
    size = min(size, len(loader.dataset))
    seconds = []
    for first in range(0, max(MADE_IMAGES, 2 * size), size):
        positions = [(first + i) % len(loader.dataset) for i in range(size)]
        start = time.perf_counter()
        make(positions)
        seconds.append((time.perf_counter() - start) / size)
    return float(np.median(seconds))


def summarize(found: Rounds, batch_size: int) -> Dict[str, Any]:
    """Return the numbers that the tool prints for one config.

    Args:
        found (Rounds): Times of all rounds.
        batch_size (int): Images per step.
    """
    in_ms = {
        f'{name}_ms': quartiles(1e3 * np.array(getattr(found, name)))
        for name in ('loop', 'bare', *PARTS)
    }
    speed = {
        name: float(f'{batch_size / np.median(getattr(found, name)):.5g}')
        for name in ('loop', 'bare')
    }
    return dict(
        ratio=quartiles(np.divide(found.bare, found.loop)),
        **in_ms,
        images_per_second=speed,
    )


def measure(
    runner: Runner, rounds: int, steps: int, device: torch.device
) -> Dict[str, Any]:
    """Train with a runner until all rounds are measured.

    Args:
        runner (Runner): Runner of a config from :func:`.timed_runs.shorten`.
        rounds (int): Number of rounds.
        steps (int): Iterations per part of a round.
        device (torch.device): Device of the model.

    Returns:
        dict: ``ratio`` of the bare step to the loop, times in milliseconds per
        iteration, ``images_per_second``, and ``image_us``, the time in which one
        process makes an image of a batch, in microseconds.
    """
    timer = LoopTimer(runner, rounds, steps, partial(synchronize, device))
    train_until_done(runner)
    loader = runner.train_dataloader
    return dict(
        batch_size=loader.batch_size,
        workers=loader.num_workers,
        steps=steps,
        **summarize(timer.found, loader.batch_size),
        image_us=float(f'{1e6 * seconds_per_image(runner):.4g}'),
    )
