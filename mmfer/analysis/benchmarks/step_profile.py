"""Time of each part of a training step in a real run, and operations of a GPU."""

import time
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)
from unittest import mock

import numpy as np
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from mmpretrain.models.utils import data_preprocessor as mmpretrain_preprocessor

from mmfer.datasets.batches import PlannedImages, SampleBatch
from mmfer.methods.jointgan.label_sets import LabelSets
from mmfer.utils.devices import synchronize

from .operations import counting
from .sections import Sections, wrap_methods
from .timed_runs import MeasurementDone, network, train_until_done

WAIT, MOVE, AUGMENT = 'waiting for data', 'to device, stack', 'augmentation'
NORMALISE, LOSS, REST = 'normalise', 'head and loss', 'rest'
LOGGING = 'logging (LoggerHook)'
# Sections in the order of the table; hooks come before the rest.
ORDER = (
    WAIT,
    MOVE,
    AUGMENT,
    NORMALISE,
    'backbone',
    'neck',
    LOSS,
    'decoder',
    'discriminator',
    'backward',
    'optimizer',
    LOGGING,
)
# Sections of the methods of a data preprocessor, as far as it has them.
PREPROCESSOR_METHODS = dict(forward=NORMALISE, cast_data=MOVE)
# Sections of methods of classes, of which each batch has an object of its own.
CLASS_METHODS = (
    (PlannedImages, 'to', MOVE),
    (PlannedImages, 'apply', AUGMENT),
    (SampleBatch, 'to', MOVE),
    (LabelSets, 'read', MOVE),
)
# Sections of the methods of a model, as far as it has them.
MODEL_METHODS = dict(
    train_step=REST, _run_forward=LOSS, parse_losses=LOSS, make_tuples=LOSS, score=LOSS
)
# Sections of the modules of a model, by the last part of their names.
MODULES = dict(
    backbone='backbone',
    neck='neck',
    head=LOSS,
    decoder='decoder',
    discriminator='discriminator',
)
OPTIMIZER_METHODS = dict(backward='backward', step='optimizer', zero_grad='optimizer')
# Iterations without timing before the first round.
WARMUP = 5
# Share of a step below which the text table does not list a hook.
SMALL = 0.001


def wrap_runner(sections: Sections, runner: Runner) -> None:
    """Make sections of the parts of a step.

    Args:
        sections (Sections): Where the time is added up.
        runner (Runner): Runner before its run; its parts are changed.
    """
    model = network(runner)
    wrap_methods(sections, model, MODEL_METHODS)
    wrap_methods(sections, model.data_preprocessor, PREPROCESSOR_METHODS)
    for path, module in model.named_modules():
        name = MODULES.get(path.rpartition('.')[2])
        if name is not None:
            methods = ('forward', 'loss', 'task_losses')
            wrap_methods(sections, module, dict.fromkeys(methods, name))
    for hook in runner.hooks:
        kind = type(hook).__name__
        name = LOGGING if kind == 'LoggerHook' else f'hook {kind}'
        points = ('before_train_iter', 'after_train_iter')
        wrap_methods(sections, hook, dict.fromkeys(points, name))


def wrap_optimizers(sections: Sections, runner: Runner) -> None:
    """Make sections of the methods of the optimizers, which a run builds late."""
    found: Any = runner.optim_wrapper
    several = isinstance(found, OptimWrapperDict)
    wrappers: Sequence[OptimWrapper] = list(found.values()) if several else [found]
    for wrapper in wrappers:
        wrap_methods(sections, wrapper, OPTIMIZER_METHODS)


@contextmanager
def marked_classes(sections: Sections) -> Iterator[None]:
    """Make sections of :data:`CLASS_METHODS`, and of stacking labels one by one.

    mmpretrain's data preprocessor does the latter for batches without a
    ``SampleBatch``. It first normalises the images. In the same function, it then
    stacks the labels and gives one to each sample. So everything after the call of
    ``cat_batch_labels`` counts as stacking.
    """
    stack = mmpretrain_preprocessor.cat_batch_labels

    @wraps(stack)
    def marked_stack(*args: Any, **kwargs: Any) -> Any:
        sections.rename(MOVE)
        return stack(*args, **kwargs)

    with ExitStack() as undo:
        patches: List[Tuple[Any, str, Callable[..., Any]]] = [
            (mmpretrain_preprocessor, 'cat_batch_labels', marked_stack)
        ]
        for owner, method, name in CLASS_METHODS:
            timed = sections.timed(getattr(owner, method), name)
            patches.append((owner, method, timed))
        for patch in patches:
            undo.enter_context(mock.patch.object(*patch))
        yield


class StepProfiler:
    """Measure the sections of the iterations of a run, in rounds.

    The modes take turns, ``steps`` iterations each: with marks at which the device is
    synchronised (``'synchronised'``, on a GPU only), with marks at which nothing waits
    XX

    Args:
        runner (Runner): Runner before its run.
        rounds (int): Rounds of all modes.
        steps (int): Iterations per mode and round.
        device (torch.device): Device of the model.

    Attributes:
        found (dict[str, list[dict[str, float]]]): Seconds per iteration by section,
            one dict per round, for each mode.
        counts (dict[str, int]): See :func:`.operations.counting`.
    """

    def __init__(self, runner: Runner, rounds: int, steps: int, device: torch.device):
        self.runner, self.steps, self.device = runner, steps, device
        self.rounds = rounds
        self.sections = Sections()
        self.on_gpu = device.type == 'cuda'
        modes = ('synchronised', 'host', 'plain') if self.on_gpu else ('host', 'plain')
        self.found: Dict[str, List[Dict[str, float]]] = {mode: [] for mode in modes}
        self.counts: Dict[str, int] = {}
        self.warmup = WARMUP
        self.seen = 0
        # The mode after the warm-up.
        self.mode = modes[0]
        self.start = 0.0
        self.counter = ExitStack()
        self.done = False
        wrap_runner(self.sections, runner)
        self.call_hook = runner.call_hook
        runner.call_hook = self._called

    def _called(self, name: str, **kwargs: Any) -> None:
        """Call the hooks; know when an iteration begins and ends."""
        if name == 'before_train_iter':
            self.sections.rename(REST)
            if self.done:
                self.counts = self.counter.enter_context(counting(self.device))
        self.call_hook(name, **kwargs)
        if name == 'before_train':
            wrap_optimizers(self.sections, self.runner)
        elif name == 'before_train_epoch':
            # What happens between two epochs belongs to no step.
            self.sections.running = False
            self.seen = 0
        elif name == 'after_train_iter':
            self._count_iteration()

    def _count_iteration(self) -> None:
        """Begin, end or continue the measurement of a mode."""
        if self.warmup:
            self.warmup -= 1
            return
        if self.done:
            self.counter.close()
            raise MeasurementDone
        if self.seen == self.steps:
            self._end_mode()
        if self.done:
            return
        if not self.seen:
            self._begin_mode()
        elif self.mode != 'plain':
            self.sections.rename(WAIT)
        self.seen += 1

    def _begin_mode(self) -> None:
        synchronize(self.device)
        wait = partial(synchronize, self.device)
        if self.mode == 'plain':
            self.start = time.perf_counter()
        else:
            waits = self.mode == 'synchronised'
            self.sections.start(WAIT, wait if waits else lambda: None)

    def _end_mode(self) -> None:
        synchronize(self.device)
        if self.mode == 'plain':
            seconds = dict(step=time.perf_counter() - self.start)
        else:
            seconds = self.sections.stop()
        self.found[self.mode].append({k: v / self.steps for k, v in seconds.items()})
        modes = list(self.found)
        self.mode = modes[(modes.index(self.mode) + 1) % len(modes)]
        self.seen = 0
        self.done = self.mode == modes[0] and len(self.found['plain']) == self.rounds


def place(name: str) -> Tuple[int, str]:
    """Return the sorting key of a section: hooks, rest and counts are at the end."""
    if name in ORDER:
        return ORDER.index(name), ''
    if name == REST:
        return len(ORDER) + 1, ''
    return len(ORDER) + (0 if name.startswith('hook ') else 2), name


def rows_of(
    config: str, device: torch.device, profiler: StepProfiler
) -> List[Dict[str, Any]]:
    """Return the lines of the table of a config.

    Args:
        config (str): Name for the lines.
        device (torch.device): Device of the model.
        profiler (StepProfiler): Profiler after the run.

    Returns:
        list[dict]: Each with ``config``, ``device``, ``section``, ``ms``, ``share`` of
        the sum, and ``host_ms`` ('' on a CPU, where it would be ``ms``). ``ms`` is the
        median over the rounds. The last lines are the sum of the sections, the step
        without marks, and the counts.
    """
    rounds = profiler.found
    marked = rounds.get('synchronised', rounds['host'])
    names = sorted({name for found in marked for name in found}, key=place)

    def median(found: List[Dict[str, float]], name: Optional[str] = None) -> float:
        values = [
            sum(seconds.values()) if name is None else seconds.get(name, 0.0)
            for seconds in found
        ]
        return 1e3 * float(np.median(values))

    total = median(marked)
    plain = median(rounds['plain'])
    rows: List[Dict[str, Any]] = []

    def add(section: str, ms: float, share: Any, host_ms: Any = '') -> None:
        rows.append(
            dict(
                config=config,
                device=str(device),
                section=section,
                ms=float(f'{ms:.4g}'),
                share=share,
                host_ms=host_ms,
            )
        )

    def host(name: Optional[str] = None) -> Any:
        return round(median(rounds['host'], name), 4) if profiler.on_gpu else ''

    for name in names:
        ms = median(marked, name)
        add(name, ms, round(ms / total, 4), host(name))
    add('sum of the sections', total, 1, host())
    add('step without marks', plain, round(plain / total, 4))
    for kind, count in profiler.counts.items():
        add(f'{kind}, number', count, '')
    return rows


def with_before(
    rows: List[Dict[str, Any]], before: Sequence[Mapping[str, str]]
) -> List[Dict[str, Any]]:
    """Add the times of an earlier measurement, in a column ``before_ms``.

    Sections that only the earlier measurement has are added with the time 0.

    Args:
        rows (list[dict]): Lines of one config.
        before (Sequence[Mapping[str, str]]): Lines of the earlier CSV file, of any
            configs.
    """
    config, device = rows[0]['config'], rows[0]['device']
    earlier = {r['section']: float(r['ms']) for r in before if r['config'] == config}
    rows = [{**row, 'before_ms': earlier.pop(row['section'], '')} for row in rows]
    gone = [
        dict(
            config=config,
            device=device,
            section=name,
            ms=0.0,
            share=0.0,
            host_ms='',
            before_ms=ms,
        )
        for name, ms in earlier.items()
    ]
    counts = [row for row in rows if place(row['section']) > place(REST)]
    sections = [row for row in rows if row not in counts] + gone
    return sorted(sections, key=lambda row: place(row['section'])) + counts


def as_text(rows: List[Dict[str, Any]]) -> str:
    """Return the lines of one config as a table for people.

    Hooks that take less than :data:`SMALL` of a step are one line together.
    """
    extra = [
        name
        for name in ('host_ms', 'before_ms')
        if any(row.get(name, '') != '' for row in rows)
    ]
    small = [r for r in rows if r['section'].startswith('hook ') and r['share'] < SMALL]
    rows = [row for row in rows if row not in small]
    if small:
        merged: Dict[str, Any] = dict(section=f'{len(small)} other hooks')
        for name in ('ms', 'share', *extra):
            total = sum(float(row[name] or 0) for row in small)
            merged[name] = float(f'{total:.4g}')
        rows.insert([row['section'] for row in rows].index(REST), merged)
    head = ''.join(f'{name.replace("_", " "):>10}' for name in extra)
    lines = [f'{rows[0]["config"]} on {rows[0]["device"]}']
    lines.append(f'{"section":<30}{"ms":>10}{"share":>9}{head}')
    for row in rows:
        share = '' if row['share'] == '' else f'{row["share"]:.1%}'
        line = f'{row["section"]:<30}{row["ms"]:>10g}{share:>9}'
        for name in extra:
            value = row.get(name, '')
            line += ' ' * 10 if value == '' else f'{value:>10g}'
        lines.append(line.rstrip())
    return '\n'.join(lines)


def measure(
    runner: Runner, config: str, rounds: int, steps: int, device: torch.device
) -> List[Dict[str, Any]]:
    """Train with a runner until all rounds are measured; see :func:`rows_of`.

    Args:
        runner (Runner): Runner of a config from :func:`.timed_runs.shorten`.
        config (str): Name for the lines.
        rounds (int): Rounds of all modes.
        steps (int): Iterations per mode and round.
        device (torch.device): Device of the model.

    Raises:
        ValueError: An epoch has fewer iterations than a mode.
    """
    iterations = len(runner.train_dataloader)
    if iterations <= steps + WARMUP:
        raise ValueError(
            f'an epoch has {iterations} iterations, which must be more than --steps '
            f'({steps}) and {WARMUP} to warm up. Lower --steps or --batch-size, or '
            'take more images (--made).'
        )
    profiler = StepProfiler(runner, rounds, steps, device)
    with marked_classes(profiler.sections):
        train_until_done(runner)
    return rows_of(config, device, profiler)
