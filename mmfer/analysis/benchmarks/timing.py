"""Measure time and memory of functions, and describe the machine."""

import os
import os.path as osp
import platform
import sys
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple, Union

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile


def seconds_of(
    work: Callable[[], None], repeat: int, synchronize: Callable[[], None]
) -> float:
    """Return the median time of several calls."""
    seconds = interleave(dict(work=work), repeat, 1, synchronize)
    return float(np.median(seconds['work']))


def interleave(
    steps: Mapping[str, Callable[[], None]],
    rounds: int,
    repeat: int,
    synchronize: Callable[[], None],
) -> Dict[str, List[float]]:
    """Let functions take turns and time them.

    Args:
        steps (Mapping[str, Callable]): Functions by name.
        rounds (int): Number of turns of each function.
        repeat (int): Number of calls per turn.
        synchronize (Callable): Function that waits until the device is done.

    Returns:
        dict[str, list[float]]: Seconds per call, one number per turn.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            synchronize()
            start = time.perf_counter()
            for _ in range(repeat):
                step()
            synchronize()
            seconds[name].append((time.perf_counter() - start) / repeat)
    return seconds


def quartiles(values: Union[Sequence[float], np.ndarray]) -> Dict[str, float]:
    """Return median and quartiles, rounded to five digits."""
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    return {
        name: float(f'{value:.5g}')
        for name, value in (('median', median), ('q1', q1), ('q3', q3))
    }


def pairs(names: Iterable[str], baselines: Sequence[str]) -> List[Tuple[str, str]]:
    """Pair every name with each baseline, as numerators and denominators.

    Args:
        names (Iterable[str]): Names of the measured functions.
        baselines (Sequence[str]): Names to divide by.

    Returns:
        list[tuple[str, str]]: Numerator and denominator.
    """
    names = list(names)
    return [(a, b) for b in baselines if b in names for a in names if a != b]


def time_ratios(
    seconds: Mapping[str, List[float]], baselines: Sequence[str]
) -> Dict[str, Dict[str, float]]:
    """Divide the times of one round by those of each baseline, over the rounds.

    Args:
        seconds (Mapping[str, list[float]]): Seconds per step, one number per round.
        baselines (Sequence[str]): Names to divide by.

    Returns:
        dict[str, dict[str, float]]: Median and quartiles by ``name/baseline``.
    """
    return {
        f'{a}/{b}': quartiles(np.divide(seconds[a], seconds[b]))
        for a, b in pairs(seconds, baselines)
    }


def allocation_peak(changes: Sequence[int]) -> int:
    """Return the highest sum of a sequence of allocations (+) and releases (-)."""
    return int(np.cumsum([0, *changes]).max())


def cpu_growth(step: Callable[[], None]) -> int:
    """Return the largest growth of the memory of CPU tensors in a step, in bytes.

    The resident size of the process is too coarse: libraries, and memory that malloc
    keeps, take more than the difference between methods.
    """
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        step()
    events = [
        event
        for event in run.profiler.kineto_results.events()
        if event.name() == '[memory]'
    ]
    events.sort(key=lambda event: event.start_ns())
    if not events:
        raise RuntimeError(
            "torch's profiler reports no allocations, so memory cannot be "
            'measured on this CPU. Skip it with --memory-steps 0.'
        )
    return allocation_peak([event.nbytes() for event in events])


def describe_machine(device: torch.device) -> dict:
    """Describe the machine, for reports that quote absolute times."""
    machine: Dict[str, Any] = dict(
        cpu=cpu_name(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        device=str(device),
    )
    if hasattr(os, 'getloadavg'):
        # Ratios from a busy machine are less reliable, so the report has its load.
        machine['load_before'] = round(os.getloadavg()[0], 2)
    if device.type == 'cuda':
        machine['device_name'] = torch.cuda.get_device_name(device)
    return machine


def cpu_name() -> str:
    """Return the model name of the processor."""
    if osp.isfile('/proc/cpuinfo'):
        with open('/proc/cpuinfo') as file:
            for line in file:
                if line.startswith('model name'):
                    return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def progress(text: str) -> None:
    """Print a progress message to the standard error."""
    print(text, file=sys.stderr, flush=True)
