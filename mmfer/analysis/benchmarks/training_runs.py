"""Check and execute the training runs of a comparison, and read their results."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from mmfer.analysis.tables import tail_epochs
from mmfer.engine.hooks.summary import SummaryHook
from mmfer.engine.variants import find_variant, read_variant
from mmfer.registry import METRICS
from mmfer_command.shipped import shipped_path

# Value of each run, by row and seed.
Results = Dict[str, Dict[int, Any]]


class PlannedRun(NamedTuple):
    """One training run of a comparison.

    Attributes:
        row (str): Row of the table.
        config (str): Config file, or a name that stands for a file with flags, see
            :func:`~mmfer.engine.variants.find_variant`.
        seed (int): Seed of the run and of planted noise.
        options (list[str]): Overrides, as ``key=value``.
        flags (Sequence[str]): Other flags of ``mmfer train``. Defaults to none.
    """

    row: str
    config: str
    seed: int
    options: List[str]
    flags: Sequence[str] = ()

    @property
    def name(self) -> str:
        """str: Name of the work dir of the run."""
        return f'{self.row}_seed{self.seed}'

    @property
    def arguments(self) -> List[str]:
        """list[str]: Config, flags and overrides for ``mmfer train``."""
        options = [f'randomness.seed={self.seed}', *self.options]
        file, flags = find_variant(self.config) or (self.config, [])
        dataset = read_variant(self.config).train_dataloader.dataset
        for noise in ('label_noise', 'va_noise'):
            settings = dataset.get(noise)
            # Each annotator keeps its own seed.
            if settings and settings.type != 'Annotators':
                options.append(f'train_dataloader.dataset.{noise}.seed={self.seed}')
        return [file, *flags, *self.flags, '--cfg-options', *options]

    @property
    def settings(self) -> Config:
        """Config: Config of the run with its overrides."""
        cfg = read_variant(self.config)
        parser = argparse.ArgumentParser()
        parser.add_argument('--cfg-options', nargs='*', action=DictAction)
        options = parser.parse_known_args(self.arguments)[0].cfg_options
        cfg.merge_from_dict(options)
        return cfg


def named_config(config: str) -> str:
    """Return the path of a config, which may be the name of a shipped one.

    Args:
        config (str): Path, or the name of a shipped config, also with flags, see
            :func:`~mmfer.engine.variants.find_variant`. A file of the user comes first.
    """
    if find_variant(config) is not None:
        return config
    shipped = str(shipped_path(config))
    return config if find_variant(shipped) is None else shipped


def problems(
    runs: Sequence[PlannedRun],
    root: Path,
    metrics: Sequence[str],
    done: Optional[Results] = None,
) -> List[str]:
    """Find problems that would otherwise appear only after the runs.

    Args:
        runs (Sequence[PlannedRun]): Planned runs.
        root (Path): Folder of the work dirs.
        metrics (Sequence[str]): Metrics of the table.
        done (dict, optional): ``summary.json`` of finished runs of the table, by
            row and seed.

    Returns:
        list[str]: A message for each problem.
    """
    found: List[str] = []
    # Maps a number of averaged last epochs to the rows with this number.
    lengths: Dict[int, List[str]] = {}
    checked = set()
    names = [run.name for run in runs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.append(
            f'{name} is requested twice, but each config and seed make one run. '
            'Name each config and each seed once.'
        )
    for run in runs:
        key = (run.config, *run.options)
        if key in checked:
            continue
        checked.add(key)
        if find_variant(run.config) is None:
            found.append(f'{run.row}: there is no config {run.config}.')
            continue
        try:
            cfg = run.settings
        except Exception as error:
            options = f' with {" ".join(run.options)}' if run.options else ''
            found.append(f'{run.row}{options} cannot be read: {error}')
            continue
        found += lacking(run.row, cfg, metrics)
        summary = (cfg.get('default_hooks') or {}).get('summary')
        if summary:
            lengths.setdefault(summary.get('last_k', SummaryHook().last_k), []).append(
                run.row
            )
    for run in runs:
        held = other_arguments(run, root) if find_variant(run.config) else ''
        if held:
            found.append(held)
    for row, others in (done or {}).items():
        for seed, summary in others.items():
            epochs = tail_epochs(summary)
            if epochs is not None:
                lengths.setdefault(epochs, []).append(f'{row}_seed{seed}')
    if len(lengths) > 1:
        found.append(
            'the runs average different numbers of last epochs: '
            + '; '.join(
                f'{epochs} in {", ".join(dict.fromkeys(rows))}'
                for epochs, rows in sorted(lengths.items())
            )
            + '. Give all of them the same number, for example with --cfg-options '
            f'default_hooks.summary.last_k={max(lengths)}, or compare them in '
            'separate folders (--root).'
        )
    return found


def lacking(row: str, cfg: Config, metrics: Sequence[str]) -> List[str]:
    """Return a message for each thing that a config lacks for a table of metrics."""
    if not (cfg.get('default_hooks') or {}).get('summary'):
        return [
            f'{row} has no SummaryHook (default_hooks.summary), which '
            'writes the results for the table. Add it.'
        ]
    evaluators = cfg.get('val_evaluator')
    if not evaluators or not cfg.get('val_dataloader'):
        return [
            f'{row} does not validate: it has no val_evaluator or no val_dataloader. '
            'Add both.'
        ]
    if isinstance(evaluators, dict):
        evaluators = [evaluators]
    init_default_scope('mmfer')
    known, prefixes = set(), set()
    for evaluator in evaluators:
        metric = METRICS.build(evaluator)
        names = metric_names(
            metric, cfg.get('data_preprocessor', {}).get('num_classes') or 10
        )
        if names is None:
            prefixes.add(prefix_of(metric))
        else:
            known |= names
    return [
        f'{row} has no metric {name!r}. Choose from '
        f'{", ".join(sorted(known | prefixes))}.'
        for name in metrics
        if name not in known and not name.startswith(tuple(prefixes))
    ]


def metric_names(metric, num_classes: int) -> Optional[Set[str]]:
    """Return the names that a metric computes, from a trial on made predictions.

    Args:
        metric (BaseMetric): The metric.
        num_classes (int): Number of classes of the predictions.

    Returns:
        set[str], optional: None if the metric fails on such predictions.
    """
    scores = torch.eye(num_classes)[[0, 0, 1, 1]]
    samples = [
        dict(
            pred_score=score,
            pred_label=score.argmax(keepdim=True),
            gt_label=torch.tensor([i % 2]),
            uncertainty=i / 4,
            pred_va=torch.tensor([i / 4, -i / 4]),
            gt_va=np.array([i / 4, -i / 4]),
        )
        for i, score in enumerate(scores)
    ]
    try:
        metric.process(None, samples)
        found = metric.compute_metrics(metric.results)
    except Exception:
        return None
    return {f'{prefix_of(metric)}{name}' for name in found}


def prefix_of(metric) -> str:
    """Return the prefix of the names that a metric computes."""
    return f'{metric.prefix}/' if metric.prefix else ''


def other_arguments(run: PlannedRun, root: Path) -> str:
    """Return a message if a work dir holds another run, else an empty text."""
    record = root / run.name / 'arguments.json'
    if not record.is_file() or not has_results(record.parent):
        return ''
    before, now = json.loads(record.read_text()), run.arguments
    if before == now:
        return ''
    sides = [
        ' '.join(text for text in one if text not in other) or 'fewer arguments'
        for one, other in ((before, now), (now, before))
    ]
    return (
        f'{run.name}: {record.parent} holds a run with {sides[0]}, and this one has '
        f'{sides[1]}. Choose another --root, or remove that folder.'
    )


def has_results(work_dir: Path) -> bool:
    """Return whether a run has left something; one that was refused has not."""
    return (work_dir / 'summary.json').is_file() or any(work_dir.glob('*.pth'))


def execute(run: PlannedRun, root: Path, threads: int) -> int:
    """Start or resume one run, and return its exit code; its output is logged."""
    work_dir = root / run.name
    work_dir.mkdir(parents=True, exist_ok=True)
    # The folder must hold this run, not one with other arguments.
    record = work_dir / 'arguments.json'
    held = other_arguments(run, root)
    if held:
        print(held, flush=True)
        return 1
    if (work_dir / 'summary.json').is_file():
        print(f'{run.name}: done before', flush=True)
        return 0
    record.write_text(json.dumps(run.arguments))
    command = [
        sys.executable,
        # Not tools/train.py, which is only in the folder of the repository.
        *('-m', 'mmfer_command', 'train'),
        *run.arguments,
        '--work-dir',
        str(work_dir),
        *['--resume'] * has_results(work_dir),
    ]
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
    start = time.time()
    print(f'{run.name}: started', flush=True)
    with open(work_dir / 'output.log', 'a') as log:
        code = subprocess.call(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    minutes = (time.time() - start) / 60
    state = f'after {minutes:.0f} min'
    if code:
        reason = exit_reason(code, work_dir / 'output.log')
        print(f'{run.name}: FAILED {state}: {reason}', flush=True)
    else:
        print(f'{run.name}: done {state}', flush=True)
    return code


def exit_reason(code: int, log: Path) -> str:
    """Return why a run has ended, in a sentence.

    Args:
        code (int): Its exit code, negative for a signal.
        log (Path): Its output.
    """
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f'signal {-code}'
        killer = ' (often by the system, for lack of memory)'
        return (
            f'it was killed by {name}{killer if name == "SIGKILL" else ""}. The same '
            'command continues it.'
        )
    lines = log.read_text(encoding='utf-8', errors='replace').split('\n')
    said = [line.strip() for line in lines if line.strip()]
    return f'{said[-1] if said else f"exit code {code}"} (see {log})'


def execute_all(runs: List[PlannedRun], root: Path, jobs: int) -> int:
    """Execute the runs, ``jobs`` at a time, and return how many failed.

    Each run has its share of the cores. ``OMP_NUM_THREADS`` wins if it is set: on a
    machine that others use, waiting threads can make a run five times slower.
    """
    share = max(1, (os.cpu_count() or 1) // jobs)
    threads = int(os.environ.get('OMP_NUM_THREADS') or share)
    with ThreadPoolExecutor(jobs) as pool:
        return sum(map(bool, pool.map(lambda run: execute(run, root, threads), runs)))


def read_runs(root: Path, file: str) -> Results:
    """Read a JSON file of every run that has it, by row and seed.

    Args:
        root (Path): Folder of the work dirs.
        file (str): ``summary.json`` or ``history.json``.
    """
    found: Results = {}
    for path in root.glob(f'*_seed*/{file}'):
        row, _, seed = path.parent.name.rpartition('_seed')
        found.setdefault(row, {})[int(seed)] = json.loads(path.read_text())
    return found


def of_seeds(runs: Results, seeds: Optional[Sequence[int]]) -> Results:
    """Return the runs of some seeds, or all with None; rows without any are left out.

    Args:
        runs (dict): Values by row and seed.
        seeds (Sequence[int], optional): The seeds.
    """
    chosen = {
        row: {k: v for k, v in found.items() if seeds is None or k in seeds}
        for row, found in runs.items()
    }
    return {row: found for row, found in chosen.items() if found}


def differences(
    runs: Dict[int, Any],
    baseline: Dict[int, Any],
    value: Callable[[Any], Optional[float]],
) -> List[float]:
    """Subtract a baseline from runs with the same seeds.

    Pairs without a value are omitted, and so are pairs whose values are means
    over different numbers of epochs.
    """
    found = []
    for seed, run in runs.items():
        if seed not in baseline or tail_epochs(run) != tail_epochs(baseline[seed]):
            continue
        mine, other = value(run), value(baseline[seed])
        if mine is not None and other is not None:
            found.append(mine - other)
    return found
