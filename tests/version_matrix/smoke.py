"""Short check of one environment: what a user does first, and some tests."""

import json
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from cells import ROOT, unexpected_complaints

# Tests of what depends on versions: loading, resuming, registries, work-arounds.
TESTS = (
    'tests/test_compat.py',
    'tests/test_registry.py',
    'tests/utils/test_installed.py',
    'tests/engine/test_resume.py',
    'tests/engine/test_provenance.py',
    'tests/apis/test_inferencer.py',
    'tests/apis/test_old_checkpoints.py',
    'tests/apis/test_weights.py',
)
# Small networks and few faces: a training takes seconds.
FACES = [
    'train_dataloader.dataset.num_samples=320',
    'val_dataloader.dataset.num_samples=100',
    'test_dataloader.dataset.num_samples=100',
    'optim_wrapper.dtype=float32',
]
EPOCHS = ['train_cfg.max_epochs=2']
NETWORK = ['model.backbone.stem_channels=8', 'model.backbone.base_channels=8']
TWO_NETWORKS = [
    'model.network1.backbone.stem_channels=8',
    'model.network1.backbone.base_channels=8',
]
GAN = [
    'model.encoder.backbone.base_channels=4',
    'model.encoder.head.hidden_dim=16',
    'model.decoder.base_channels=4',
    'model.discriminator.base_channels=4',
    'train_cfg.warmup_epochs=1',
]
CONFIG = 'configs/{0}/{0}_{1}_synthfaces_noise30.py'
TRAININGS: Dict[str, Tuple[str, List[str], List[str]]] = {
    'ce': (CONFIG.format('ce', 'r18'), [], NETWORK),
    'alum': (CONFIG.format('alum', 'r18'), [], NETWORK),
    'resup': (CONFIG.format('resup', 'r18'), [], TWO_NETWORKS),
    'gaave': (CONFIG.format('ce', 'r18'), ['--clean', 'gaave'], NETWORK),
    'jointgan': (CONFIG.format('jointgan', 'vgg16'), [], GAN),
}
# Imports mmfer as it is installed, and prints the versions that it uses.
VERSIONS = """
import json, platform
import cv2, mmcv, mmengine, mmfer, mmpretrain, numpy, torch, torchvision
modules = [torch, torchvision, numpy, mmengine, mmpretrain, mmcv, cv2, mmfer]
versions = {module.__name__: module.__version__ for module in modules}
print(json.dumps(dict(versions, python=platform.python_version())))
"""
# The shipped weights give probabilities, an uncertainty and an expression.
INFERENCE = """
import numpy as np
from mmfer import FERInferencer
faces = list(np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8))
results = FERInferencer('alum_tiny_ferplus', device='cpu')(faces)
assert len(results) == 4
for result in results:
    assert abs(sum(result['pred_scores'].values()) - 1) < 1e-4, result
    assert 0 <= result['pred_label'] < 7 and result['uncertainty'] >= 0, result
print([result['pred_label'] for result in results])
"""


class Smoke:
    """Run the steps in one environment, and record each.

    Args:
        python (str): Interpreter of the environment.
        origin (str): Origin of OpenMMLab's packages; see ``cells``.
        folder (Path): Folder for logs and work dirs.
        limit (float): Seconds after which a step has failed.
    """

    def __init__(self, python: str, origin: str, folder: Path, limit: float) -> None:
        self.python = python
        self.origin = origin
        self.folder = folder
        self.limit = limit
        self.steps: List[Dict[str, Any]] = []
        self.versions: Dict[str, str] = {}

    def call(self, name: str, *args: str) -> str:
        """Run Python and return its output, which a log keeps as well.

        Raises:
            RuntimeError: With the last line of the output.
        """
        log = self.folder / f'{name}.log'
        cache = str(self.folder / 'cache')
        with open(log, 'w', encoding='utf-8') as file:
            print('+', self.python, *args, file=file, flush=True)
            try:
                done = subprocess.run(
                    [self.python, *args],
                    cwd=ROOT,
                    env=dict(
                        os.environ,
                        PYTHONPATH=str(ROOT),
                        OMP_NUM_THREADS='1',
                        MMFER_CACHE_DIR=cache,
                    ),
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=self.limit,
                )
            except subprocess.TimeoutExpired as error:
                raise RuntimeError(f'more than {self.limit:.0f} s') from error
        said = log.read_text(encoding='utf-8').partition('\n')[2]
        if done.returncode:
            last = [line for line in said.splitlines() if line.strip()] or ['no output']
            raise RuntimeError(f'exit code {done.returncode}: {last[-1]}')
        return said

    def step(self, name: str, action: Callable[[], Optional[str]]) -> bool:
        """Run one step and record whether it passed, and how long it took.

        Args:
            name (str): Name of the step.
            action (Callable): Raises RuntimeError if the step fails.
        """
        start = time.monotonic()
        note = ''
        try:
            action()
        except RuntimeError as error:
            note = str(error)
        seconds = time.monotonic() - start
        print(f'   {name}: {note or "passed"} ({seconds:.0f} s)', flush=True)
        self.steps.append(dict(name=name, passed=not note, seconds=seconds, note=note))
        return not note

    def train(self, name: str, *more: str) -> None:
        """Train one config for two epochs; its results must be complete."""
        config, flags, network = TRAININGS[name]
        work_dir = self.folder / name
        options = ['--cfg-options', *FACES, *EPOCHS, *network, *more]
        resume = ['--resume'] * bool(more)
        if not resume:
            shutil.rmtree(work_dir, ignore_errors=True)
        self.call(
            f'train_{name}' + '_resumed' * bool(more),
            *('tools/train.py', config, *flags, *resume),
            *('--work-dir', str(work_dir), *options),
        )
        results = ['summary.json', 'sample_scores.csv']
        for result in results + ['cleaning'] * ('--clean' in flags):
            if not (work_dir / result).exists():
                raise RuntimeError(f'{result} was not written')
        epochs = json.loads((work_dir / 'summary.json').read_text())['epochs']
        if epochs != 2 + bool(more):
            raise RuntimeError(f'{epochs} epochs in summary.json')

    def test(self) -> None:
        """Evaluate the checkpoint that the resumed run has left."""
        config, _, network = TRAININGS['alum']
        said = self.call(
            'test',
            *('tools/test.py', config, str(self.folder / 'alum/epoch_3.pth')),
            *('--work-dir', str(self.folder / 'tested')),
            *('--cfg-options', *FACES, *network),
        )
        if 'accuracy/top1' not in said:
            raise RuntimeError('no accuracy was printed')

    def check_pip(self) -> None:
        """Compare what ``pip check`` says with what it must say."""
        said = subprocess.run(
            [self.python, '-m', 'pip', 'check'],
            capture_output=True,
            text=True,
            env=without_path(),
        ).stdout
        (self.folder / 'pip_check.log').write_text(said, encoding='utf-8')
        problem = unexpected_complaints(self.origin, said)
        if problem:
            raise RuntimeError(problem)

    def read_versions(self) -> None:
        """Import mmfer and everything that it needs."""
        self.versions = json.loads(self.call('import', '-c', VERSIONS).splitlines()[-1])

    def run(self) -> None:
        """Run all steps. If mmfer cannot be imported, the others are left out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.step('pip check', self.check_pip)
        if not self.step('import', self.read_versions):
            return
        for name in TRAININGS:
            self.step(f'train {name}', lambda name=name: self.train(name))
        longer = 'train_cfg.max_epochs=3'
        self.step('resume alum', lambda: self.train('alum', longer))
        self.step('test alum', self.test)
        self.step('inference', lambda: self.call('inference', '-c', INFERENCE))


def without_path() -> Dict[str, str]:
    """Return the environment variables without ``PYTHONPATH``."""
    return {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}


def run_pytest(
    python: str, folder: Path, name: str, paths: Tuple[str, ...], limit: float
) -> Dict[str, Any]:
    """Run tests in two processes and count them.

    Args:
        python (str): Interpreter of the environment.
        folder (Path): Folder for the log and the report.
        name (str): Name of both files.
        paths (tuple[str]): Files to test; all default tests if empty.
        limit (float): Seconds after which the tests are stopped.

    Returns:
        dict: ``passed``, ``failed`` and ``skipped`` tests, ``seconds``, and the names
        of the ``failures``.
    """
    report = folder / f'{name}.xml'
    report.unlink(missing_ok=True)
    (folder / 'tmp').mkdir(exist_ok=True)
    start = time.monotonic()
    with open(folder / f'{name}.log', 'w', encoding='utf-8') as file:
        try:
            subprocess.run(
                [python, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
                + ['-n', '2', '--dist', 'worksteal', '-rfEs']
                # The common folder can be cleared by other runs of pytest.
                + [f'--basetemp={folder / "tmp" / name}']
                + [f'--junitxml={report}', *paths],
                cwd=ROOT,
                env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            pass
    seconds = time.monotonic() - start
    shutil.rmtree(folder / 'tmp')
    if not report.exists():
        failures = [f'no report after {seconds:.0f} s, see {name}.log']
        return dict(passed=0, failed=1, skipped=0, seconds=seconds, failures=failures)
    return dict(count_tests(report), seconds=seconds)


def count_tests(report: Path) -> Dict[str, Any]:
    """Count the tests of a JUnit report.

    Args:
        report (Path): XML file of pytest. An error of a fixture counts as a failure.
    """
    failures, skipped, passed = [], 0, 0
    for case in ET.parse(report).getroot().iter('testcase'):
        if case.find('failure') is not None or case.find('error') is not None:
            failures.append(f'{case.get("classname")}::{case.get("name")}')
        elif case.find('skipped') is not None:
            skipped += 1
        else:
            passed += 1
    failures = sorted(set(failures))
    return dict(passed=passed, failed=len(failures), skipped=skipped, failures=failures)
