"""Kill runs, resume them, and compare them with runs that were not killed."""

import csv
import os
import os.path as osp
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from .children import Ended, run_script
from .compare import differences
from .events import WRITE
from .plan import (
    HALF,
    Planned,
    draw_kill,
    generator,
    kinds_of_run,
    position,
    wanted_kinds,
)
from .tiny_runs import VARIANTS, Variant, tiny_config

FIELDS = (
    ('method', 'variant', 'run', 'attempt', 'kind', 'moment', 'file', 'signal')
    + ('codes', 'resumes', 'identical')
)  # fmt: skip
MOST_ATTEMPTS = 20
"""Attempts after which a run counts as one that never ends."""


class Reference(NamedTuple):
    """A run that was not killed.

    Attributes:
        folder (str): Work dir.
        events (list[str]): Its events, see :mod:`.events`.
        seconds (float): How long it took.
    """

    folder: str
    events: List[str]
    seconds: float


class Campaign:
    """Kills of several methods.

    Args:
        train (str): Path of ``tools/train.py``.
        configs (str): Folder of the configs.
        folder (str): Folder of the work dirs and of ``kills.csv``.
        methods (Sequence[str]): Names from :data:`.tiny_runs.METHODS`.
        kills (int): Kills of each method.
        seed (int): Seed of all draws.
        fresh (bool): Whether runs are compared with one of a new interpreter, too.
            Each costs the time of all imports.

    Attributes:
        rows (list[dict]): Kills, see :data:`FIELDS`.
        failures (list[str]): What was not as it should be.
    """

    def __init__(
        self,
        train: str,
        configs: str,
        folder: str,
        methods: Sequence[str],
        kills: int,
        seed: int = 0,
        fresh: bool = False,
    ):
        self.train, self.configs = osp.abspath(train), configs
        self.folder = osp.abspath(folder)
        self.methods, self.kills, self.seed, self.fresh = methods, kills, seed, fresh
        self.rows = read_rows(self.path)
        self.failures: List[str] = [
            f'{name_of(row)}: differed in an earlier call'
            for row in self.rows
            if row['identical'] != 'yes'
        ]
        self._references: Dict[Tuple[str, str], Reference] = {}
        self._began = time.monotonic()
        self._made = 0

    @property
    def path(self) -> str:
        """str: The table of all kills."""
        return osp.join(self.folder, 'kills.csv')

    def run(self) -> None:
        """Make the kills that are not in the table yet."""
        os.makedirs(self.folder, exist_ok=True)
        for method in self.methods:
            made = [row for row in self.rows if row['method'] == method]
            run = max((int(row['run']) for row in made), default=-1) + 1
            last = run + 3 * self.kills + 20
            while True:
                left = wanted_kinds(method, self.kills) - Counter(
                    row['kind'] for row in self.rows if row['method'] == method
                )
                if not left:
                    break
                if run > last:
                    self._fail(f'{method}: no run came to the kills {dict(left)}')
                    break
                self._kill_run(method, run, left)
                run += 1

    # -- one run -----------------------------------------------------------
    def _kill_run(self, method: str, run: int, left: Counter) -> None:
        """Kill a run once or several times, resume it, and compare it."""
        names = list(VARIANTS[method])
        name = names[run % len(names)]
        variant = VARIANTS[method][name]
        reference = self._reference(method, name)
        rng = generator(self.seed, method, run)
        kinds = kinds_of_run(left, rng)
        folder = osp.join(self.folder, f'{method}_{name}_{run}')
        shutil.rmtree(folder, ignore_errors=True)
        files = Counter(
            row['file'] for row in self.rows if row['method'] == method and row['file']
        )
        rows: List[Dict[str, Any]] = []
        problems: List[str] = []
        done, attempt = 0, 0
        for attempt in range(MOST_ATTEMPTS):
            kill = None
            while kinds and kill is None:
                kill = draw_kill(
                    kinds.pop(0), reference.events, done, files, rng, variant.processes
                )
            log = osp.join(folder, f'attempt{attempt}')
            ended = self._attempt(method, variant, folder, log, kill, reference)
            lines = read_lines(f'{log}.events')
            problems += unexpected(ended, kill, log)
            if problems or not any(ended.codes):
                break
            assert kill is not None
            done = position(reference.events, lines, done)
            file = kill.order.detail if kill.order else ''
            files[file] += bool(file)
            rows.append(
                dict(
                    method=method,
                    variant=name,
                    run=run,
                    attempt=attempt,
                    kind=kill.kind,
                    moment=describe(kill, lines, reference),
                    file=file,
                    signal=signal.Signals(kill.signum).name,
                    codes=' '.join(map(str, ended.codes)),
                )
            )
        else:
            problems.append(f'the run did not end in {MOST_ATTEMPTS} attempts')
        if not problems:
            problems = differences(reference.folder, folder)
        for row in rows:
            row.update(resumes=attempt, identical='no' if problems else 'yes')
        self._record(rows)
        for problem in problems:
            self._fail(f'{method} {name} run {run}: {problem}')
        if not problems:
            shutil.rmtree(folder)

    def _attempt(
        self,
        method: str,
        variant: Variant,
        folder: str,
        log: str,
        kill: Optional[Planned] = None,
        reference: Optional[Reference] = None,
    ) -> Ended:
        """Run until the kill, or until the end."""
        os.makedirs(folder, exist_ok=True)
        at = None
        if kill is not None and kill.order is None and reference is not None:
            at = kill.share * reference.seconds
        return run_script(
            self.train,
            self._arguments(method, variant, folder),
            log,
            kill.order if kill else None,
            at,
            kill.signum if kill else signal.SIGKILL,
            variant.processes,
            kill.victim if kill else 0,
        )

    def _arguments(self, method: str, variant: Variant, folder: str) -> List[str]:
        """Return the arguments of ``tools/train.py``; write the config."""
        path = osp.join(self.folder, 'configs', osp.basename(folder), f'{method}.py')
        if not osp.isfile(path):
            os.makedirs(osp.dirname(path), exist_ok=True)
            tiny_config(self.configs, method, variant).dump(path)
        # As a cluster calls it that starts a run again after each kill.
        return [path, '--work-dir', folder, '--resume', 'auto', *variant.flags]

    # -- runs that are not killed --------------------------------------------
    def _reference(self, method: str, name: str) -> Reference:
        """Return the run that was not killed; run it if there is none."""
        variant = VARIANTS[method][name]
        if variant.same_bits:
            name, variant = 'plain', VARIANTS[method]['plain']
        key = method, name
        if key not in self._references:
            folder = osp.join(self.folder, f'{method}_{name}')
            shutil.rmtree(folder, ignore_errors=True)
            log = f'{folder}/whole'
            ended = self._attempt(method, variant, folder, log)
            for problem in unexpected(ended, None, log):
                raise RuntimeError(f'{method} {name}, which nobody killed: {problem}')
            self._references[key] = Reference(
                folder, read_lines(f'{log}.events'), ended.seconds
            )
            if self.fresh and variant.processes == 1:
                self._compare_fresh(method, name, variant, folder)
        return self._references[key]

    def _compare_fresh(
        self, method: str, name: str, variant: Variant, folder: str
    ) -> None:
        """Compare a run in a fork with one in a new interpreter."""
        other = f'{folder}_fresh'
        shutil.rmtree(other, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, self.train, *self._arguments(method, variant, other)],
            env=dict(os.environ, OMP_NUM_THREADS='1'),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        problems = differences(folder, other)
        if done.returncode:
            problems.append(done.stdout[-2000:])
        for problem in problems:
            self._fail(f'{method} {name} in a new interpreter: {problem}')
        print(
            f'{method} {name}: a fork and a new interpreter '
            + ('differ' if problems else 'end with the same bits'),
            flush=True,
        )

    # -- records -------------------------------------------------------------
    def _record(self, rows: List[Dict[str, Any]]) -> None:
        """Append the kills of a run to the table, and print them."""
        if not rows:
            return
        exists = osp.isfile(self.path)
        with open(self.path, 'a', newline='') as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
            if not exists:
                writer.writeheader()
            writer.writerows(rows)
            file.flush()
            os.fsync(file.fileno())
        self.rows += rows
        self._made += len(rows)
        total = self.kills * len(self.methods)
        done = sum(row['method'] in self.methods for row in self.rows)
        seconds = (time.monotonic() - self._began) / self._made * (total - done)
        moments = ', '.join(f'{row["kind"]} ({row["moment"]})' for row in rows)
        same = 'identical' if rows[0]['identical'] == 'yes' else 'DIFFERENT'
        print(
            f'[{done:>3}/{total}] {name_of(rows[0])}: {moments} -> {same}; '
            f'{seconds / 60:.0f} min left',
            flush=True,
        )

    def _fail(self, message: str) -> None:
        self.failures.append(message)
        print(message, file=sys.stderr, flush=True)


def name_of(row: Dict[str, Any]) -> str:
    """Return the name of the run of a row of the table."""
    return f'{row["method"]} {row["variant"]} run {row["run"]}'


def describe(kill: Planned, lines: Sequence[str], reference: Reference) -> str:
    """Return the moment of a kill for the table."""
    last = lines[-1] if lines else 'start'
    if kill.order is None:
        return f'{kill.share * reference.seconds:.2f} s, after {last}'
    who = f', process {kill.victim} alone' if kill.order.alone else ''
    if kill.order.kind == WRITE:
        return f'{kill.order.phase}{who}'
    return f'{last}{who}'


def unexpected(ended: Ended, kill: Optional[Planned], log: str) -> Iterator[str]:
    """Yield what is wrong with the end of a run.

    Args:
        ended (Ended): The end.
        kill (Planned, optional): Kill that was planned; the run may have ended before.
        log (str): See :func:`run_script`.
    """
    text = ''.join(read_lines(f'{log}.out', keep=True)[-15:])
    if ended.hung:
        yield f'processes hung, exit codes {ended.codes}\n{text}'
    elif any(ended.codes):
        signum = kill.signum if kill else 0
        # Before the run begins, a signal ends it as it ends any program.
        expected = {-signum} if signum == signal.SIGKILL else {128 + signum, -signum}
        alone = kill is not None and kill.order is not None and kill.order.alone
        if alone and kill is not None:
            codes = [ended.codes[kill.victim]]
        else:
            codes = ended.codes
        if kill is None or not set(codes) <= expected:
            yield f'exit codes {ended.codes}\n{text}'


def read_lines(path: str, keep: bool = False) -> List[str]:
    """Return the lines of a log; empty if there is none."""
    if not osp.isfile(path):
        return []
    with open(path, errors='replace') as file:
        return file.read().splitlines(keepends=keep)


def read_rows(path: str) -> List[Dict[str, Any]]:
    """Return the kills of a table; empty if there is none."""
    if not osp.isfile(path):
        return []
    with open(path, newline='') as file:
        # A row that was cut off by a kill lacks its last fields.
        return [row for row in csv.DictReader(file) if row['identical']]


def summarize(rows: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return one row for each method: number of its kills by kind.

    Returns:
        list[dict]: ``method``, ``kills``, ``half`` (inside a file write or
        mid-epoch), one entry for each kind, and ``different``.
    """
    kinds = sorted({row['kind'] for row in rows})
    table = []
    for method in dict.fromkeys(row['method'] for row in rows):
        mine = [row for row in rows if row['method'] == method]
        counts = Counter(row['kind'] for row in mine)
        table.append(
            dict(
                method=method,
                kills=len(mine),
                half=sum(counts[kind] for kind in HALF),
                **{kind: counts[kind] for kind in kinds},
                different=sum(row['identical'] != 'yes' for row in mine),
            )
        )
    return table
