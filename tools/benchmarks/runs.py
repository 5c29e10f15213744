"""Trainings of a comparison: run them, read what they wrote, plot it."""
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np
from mmengine.config import Config

# Something of each run, by row and seed.
Results = Dict[str, Dict[int, Any]]


class Run(NamedTuple):
    """One training of a comparison."""
    row: str
    config: str
    seed: int
    options: List[str]

    @property
    def name(self) -> str:
        """Name of its work dir."""
        return f'{self.row}_seed{self.seed}'

    @property
    def arguments(self) -> List[str]:
        """Config and overrides: what decides the result."""
        options = [f'randomness.seed={self.seed}', *self.options]
        dataset = Config.fromfile(self.config).train_dataloader.dataset
        for noise in ('label_noise', 'va_noise'):
            settings = dataset.get(noise)
            # Annotators have a seed each, which stays.
            if settings and settings.type != 'Annotators':
                options.append(
                    f'train_dataloader.dataset.{noise}.seed={self.seed}')
        return [self.config, '--cfg-options', *options]


def execute(run: Run, root: Path, threads: int) -> int:
    """Train one run, or go on with it; its output goes to a log."""
    work_dir = root / run.name
    work_dir.mkdir(parents=True, exist_ok=True)
    # What lies in the folder must be this run, not one like it.
    record = work_dir / 'arguments.json'
    if record.is_file() and json.loads(record.read_text()) != run.arguments:
        print(
            f'{run.name}: {work_dir} holds a run with other arguments '
            f'({record.read_text()}); choose another --root', flush=True)
        return 1
    if (work_dir / 'summary.json').is_file():
        print(f'{run.name}: done before', flush=True)
        return 0
    record.write_text(json.dumps(run.arguments))
    command = [
        sys.executable, 'tools/train.py', *run.arguments, '--work-dir',
        str(work_dir), '--resume'
    ]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    start = time.time()
    print(f'{run.name}: started', flush=True)
    with open(work_dir / 'output.log', 'a') as log:
        code = subprocess.call(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    minutes = (time.time() - start) / 60
    state = 'done' if code == 0 else f'FAILED, see {work_dir}/output.log'
    print(f'{run.name}: {state} after {minutes:.0f} min', flush=True)
    return code


def execute_all(runs: List[Run], root: Path, jobs: int) -> int:
    """Train them, ``jobs`` at a time; how many failed."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ThreadPoolExecutor(jobs) as pool:
        return sum(
            map(bool, pool.map(lambda run: execute(run, root, threads),
                               runs)))


def read_runs(root: Path, file: str) -> Results:
    """A JSON file of every run that has it, by row and seed.

    Args:
        root (Path): Folder of the work dirs.
        file (str): ``summary.json`` or ``history.json``.
    """
    found: Results = {}
    for path in root.glob(f'*_seed*/{file}'):
        row, _, seed = path.parent.name.rpartition('_seed')
        found.setdefault(row, {})[int(seed)] = json.loads(path.read_text())
    return found


def differences(runs: Dict[int, Any], baseline: Dict[int, Any],
                value: Callable[[Any], float]) -> List[float]:
    """What runs are ahead of those of a baseline with the same seeds."""
    return [
        value(run) - value(baseline[seed]) for seed, run in runs.items()
        if seed in baseline
    ]


def plot(histories: Results,
         value: Callable[[dict], Optional[float]], label: str,
         out: Path) -> None:
    """Course of a value, a line per row, a band over seeds.

    Args:
        histories (dict): ``history.json`` of the runs, by row and seed.
        value (Callable): The value of an epoch's entry, or None.
        label (str): What is plotted.
        out (Path): Image to write.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    # Okabe and Ito's colours, told apart by the colour-blind.
    colours = ('#000000', '#E69F00', '#0072B2', '#009E73', '#CC79A7',
               '#56B4E9', '#D55E00')
    figure, axes = plt.subplots(figsize=(6.4, 4), layout='constrained')
    styles = [(c, s) for s in ('-', '--', ':') for c in colours]
    for row, runs in histories.items():
        curves = [
            {e['epoch']: value(e) for e in history if value(e) is not None}
            for history in runs.values()
        ]
        # A run that is still going on is left out.
        longest = max(map(len, curves))
        if not longest:
            continue
        curves = [c for c in curves if len(c) == longest]
        epochs = sorted(curves[0])
        values = np.array([[c[e] for e in epochs] for c in curves])
        colour, style = styles.pop(0)
        axes.plot(
            epochs, values.mean(0), style, color=colour,
            label=f'{row} ({len(values)} seed{"s" * (len(values) > 1)})')
        if len(values) > 1:
            axes.fill_between(
                epochs, values.min(0), values.max(0), color=colour, alpha=.2,
                linewidth=0)
    axes.set(xlabel='epoch', ylabel=label)
    axes.grid(alpha=.3)
    axes.legend(frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
