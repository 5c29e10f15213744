"""Checks of the doctor that need torch, each in another process."""

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Iterator, List, NamedTuple

from .arguments.common import DEFAULT_MODEL

OK, WARN, FAIL = 'OK', 'WARN', 'FAIL'
# Longest time of a probe. Importing torch takes a minute on some network disks.
SECONDS = 300


class Line(NamedTuple):
    """Result of a check.

    Attributes:
        level (str): ``'OK'``, ``'WARN'`` or ``'FAIL'``.
        text (str): What was found.
        advice (str): What to do; empty if there is nothing to do.
    """

    level: str
    text: str
    advice: str = ''


TORCH_PROBE = """\
import json, torch, torchvision
reason = ''
if not torch.cuda.is_available():
    try:
        torch.cuda.init()
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
print('RESULT', json.dumps(dict(
    cuda=torch.version.cuda, names=names, reason=reason, hip=torch.version.hip,
    threads=torch.get_num_threads(), operators=hasattr(torch.ops.torchvision, 'nms'),
)))
"""
# Runs where `import mmfer` works: the shipped weights, and one optimiser step.
MODEL_PROBE = f"""\
import json, time, numpy, torch, mmfer
fer = mmfer.FERInferencer({DEFAULT_MODEL!r}, True, 'cpu')
face, = fer(numpy.full((48, 48, 3), 128, numpy.uint8))
model = fer.model.train()
start = time.perf_counter()
optimizer = torch.optim.SGD(model.parameters(), 0.01)
before = [p.detach().clone() for p in model.parameters()]
from mmpretrain.structures import DataSample
rng = numpy.random.default_rng(0)
faces = [rng.integers(0, 256, (48, 48), numpy.uint8) for _ in range(8)]
batch = fer.preparation.collate([fer.preparation.fit(face) for face in faces])
batch['data_samples'] = [DataSample().set_gt_label(i) for i in range(8)]
batch = model.data_preprocessor(batch, training=True)
losses = model(**batch, mode='loss')
loss, _ = model.parse_losses(losses)
loss.backward()
optimizer.step()
moved = any((a != b).any() for a, b in zip(before, model.parameters()))
print('RESULT', json.dumps(dict(
    loss=float(loss), moved=bool(moved), seconds=time.perf_counter() - start,
    prediction=face['pred_class'])))
"""


def probe(code: str) -> dict:
    """Run Python code in another process, and return what it reports.

    Args:
        code (str): Code that prints ``RESULT`` and a JSON object.

    Raises:
        RuntimeError: The process failed, crashed or took too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, '-c', f'import sys; sys.path[:] = {sys.path!r}\n{code}'],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f'no answer in {SECONDS} s') from None
    for line in done.stdout.splitlines():
        if line.startswith('RESULT '):
            return json.loads(line.removeprefix('RESULT '))
    if done.returncode < 0:
        raise RuntimeError(
            f'the process crashed ({signal.Signals(-done.returncode).name})'
        )
    lines = done.stderr.strip().splitlines() or ['no message']
    raise RuntimeError(lines[-1])


def check_gpu() -> Iterator[Line]:
    """Check whether torch can be imported and sees a GPU, and if not, why."""
    try:
        found = probe(TORCH_PROBE)
    except RuntimeError as error:
        yield Line(
            FAIL,
            f'import torch, torchvision: {error}',
            f'Install both again: `{sys.executable} -m pip install --force-reinstall '
            'torch torchvision`.',
        )
        return
    yield Line(OK, f'torch computes with {found["threads"]} threads')
    if not found['operators']:
        yield Line(
            WARN,
            'torchvision has no compiled operators',
            'It is not built for this torch. Install both together.',
        )
    yield from gpu_lines(found, gpus_of_machine())


def gpu_lines(found: dict, machine: List[str]) -> Iterator[Line]:
    """Yield the lines about GPUs.

    Args:
        found (dict): What ``TORCH_PROBE`` reports.
        machine (list[str]): GPUs that the driver knows.
    """
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if found['names']:
        yield Line(OK, f'GPUs for torch: {", ".join(found["names"])}')
    elif not machine:
        yield Line(OK, 'no GPU in this machine: training uses the CPU')
    elif visible is not None and visible.strip() in ('', '-1'):
        yield Line(
            WARN,
            f'CUDA_VISIBLE_DEVICES={visible} hides {len(machine)} GPUs',
            'Unset this variable to use them.',
        )
    elif found['cuda'] is None and found['hip'] is None:
        yield Line(
            WARN,
            f'torch is built for CPUs; the machine has {", ".join(machine)}',
            'Install a build of torch with CUDA, see pytorch.org.',
        )
    else:
        yield Line(
            WARN,
            f'torch (CUDA {found["cuda"]}) does not see {", ".join(machine)}: '
            f'{found["reason"]}',
            'The driver may be too old for this CUDA: update it, or install a torch '
            'for an older CUDA.',
        )


def gpus_of_machine() -> List[str]:
    """Return the names of the GPUs that NVIDIA's driver knows."""
    if shutil.which('nvidia-smi') is None:
        return []
    try:
        done = subprocess.run(
            ['nvidia-smi', '--query-gpu=name', '--format=csv,noheader'],
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split('\n')[:-1] if done.returncode == 0 else []


def check_model() -> Iterator[Line]:
    """Check whether mmfer can be imported, predict, and train a step."""
    try:
        found = probe(MODEL_PROBE)
    except RuntimeError as error:
        yield Line(
            FAIL,
            f'import mmfer, load {DEFAULT_MODEL}, train a step: {error}',
            'Mend what is named above; else install mmfer again.',
        )
        return
    yield Line(OK, f'the shipped weights load ({DEFAULT_MODEL})')
    text = f'a training step: loss {found["loss"]:.3g}, {found["seconds"]:.1f} s'
    if found['moved'] and found['loss'] == found['loss']:
        yield Line(OK, text)
    else:
        yield Line(FAIL, f'{text}; it is NaN, or changed no weight', 'Report this.')
