"""Compare how fast methods train and how much memory they take.

    python tools/benchmarks/train_speed.py [--pairs 30] [--threads 2]

Prints one line of JSON; what happens meanwhile goes to stderr. Compared are
CE, RUL, ALUM, ALUM with the gate of its latent compensation always open, and
ReSup, in two settings: the ResNet-18 of the RAF-DB configs at 224 px and the
small network of the FERPlus configs at 44 px. Models, optimizers and
precision are those of the configs, weights are random and so are the images:
a step is ``model.train_step`` on a batch that lies ready, so data loading is
not in it.

**Time.** All methods live in one process and take turns, A B C D A B C D;
a ratio is the median over the rounds of the quotient within a round. So what
slows the machine for a while slows all methods alike. ``time_ratio`` above 1
means slower. ALUM's gate is drawn anew in each step, as in training, so its
quartiles contain that spread.

**ReSup's own work.** ``weighing`` is measuring the agreements of a batch and
looking its weights up, as a share of a step; ``refit`` is fitting both noise
models to the scores of ``--samples`` images, which an epoch has collected, as
a share of the steps of that epoch.

**Memory.** Each method is measured alone before any timing, as the highest
number of bytes that tensors hold during a step: weights, optimizer state,
images and what the step allocates; the largest of ``--memory-steps`` steps
counts, after the first ones, in which the optimizer allocates its state. ALUM
with random gates thus stands for the steps in which many were open. On CUDA
this is ``torch.cuda.max_memory_allocated``. On a CPU the resident size of the
process would be the wrong measure: libraries, what malloc has kept from
earlier and its fragmentation make up more of it than methods differ by.
There, torch's profiler reports each allocation and each release of the CPU
allocator, and the running sum has a maximum: the same quantity as on CUDA,
and the same in each run. Not in it are work spaces that oneDNN allocates for
itself.
"""

import argparse
import gc
import json
import os
import os.path as osp
import platform
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from torch.profiler import ProfilerActivity, profile

from mmfer.compat import keep_freed_memory
from mmfer.engine.scoring import merge_by_id
from mmfer.models import DualNetwork
from mmfer.registry import MODELS
from mmfer.utils.devices import add_device_argument, synchronize

CONFIGS = osp.join(
    osp.dirname(osp.abspath(__file__)), osp.pardir, osp.pardir, 'configs'
)
# Method: folder of its configs and what is changed in them.
METHODS = dict(
    ce=('ce', {}),
    rul=('rul', {}),
    alum=('alum', {}),
    alum_gate1=('alum', {'model.latent_compensation.prob': 1.0}),
    resup=('resup', {}),
)
# Slower one first.
RATIOS = (('rul', 'ce'), ('alum', 'rul'), ('alum_gate1', 'rul'), ('resup', 'ce'))
WARMUP_STEPS = 2
MIB = 2**20


@dataclass
class Setting:
    """One network at one size.

    Attributes:
        config (str): Path below the configs, with ``{method}``.
        px (int): Side of an image.
        batch_size (int): Images per step.
    """

    config: str
    px: int
    batch_size: int


def load_config(method: str, setting: Setting, precision: str) -> Config:
    """The training config of a method, without pretrained weights."""
    folder, changes = METHODS[method]
    cfg = Config.fromfile(osp.join(CONFIGS, setting.config.format(method=folder)))
    cfg.merge_from_dict(changes)
    for network in networks_of(cfg.model):
        network.backbone.init_cfg = None
    shape = cfg.data_preprocessor.input_shape
    cfg.data_preprocessor.input_shape = (shape[0], setting.px, setting.px)
    cfg.model.data_preprocessor = cfg.data_preprocessor
    if precision != 'config':
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
        cfg.optim_wrapper.dtype = precision
    return cfg


def networks_of(model: dict) -> List[dict]:
    """The one classifier of a model's config, or its two."""
    pair = [model[k] for k in ('network1', 'network2') if k in model]
    return pair or [model]


class Trainer:
    """A model, its optimizer and a batch, ready to step."""

    def __init__(
        self, method: str, setting: Setting, precision: str, device: torch.device
    ):
        cfg = load_config(method, setting, precision)
        torch.manual_seed(0)
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        self.model.to(device).train()
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        if hasattr(self.optim_wrapper, 'device_type'):
            # It takes the best device there is, not the one asked for.
            self.optim_wrapper.device_type = device.type
        self.device = device
        if isinstance(self.model, DualNetwork):
            # Past the warm-up, with something to weigh by.
            self.model.start_epoch(self.model.warmup_epochs)
            self.model.fit_noise_models(random_agreements(1000))
        self.batch = random_batch(cfg.data_preprocessor, setting.batch_size, device)

    def step(self) -> None:
        """Forward, backward and update."""
        self.model.train_step(self.batch, self.optim_wrapper)

    @property
    def precision(self) -> str:
        """What the forward pass computes in."""
        autocast = getattr(self.optim_wrapper, 'enabled', False)
        return 'bfloat16' if autocast else 'float32'

    def resident_bytes(self) -> int:
        """Bytes held between two steps: weights, moments, images."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        tensors += [p.grad for p in self.model.parameters() if p.grad is not None]
        for state in self.optim_wrapper.optimizer.state.values():
            tensors += [v for v in state.values() if torch.is_tensor(v)]
        tensors.append(self.batch['inputs'])
        return sum(t.numel() * t.element_size() for t in tensors)


def random_batch(cfg: dict, batch_size: int, device: torch.device) -> dict:
    """Random images and labels, as a data loader collates them."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(
        256, (batch_size, *cfg.input_shape), dtype=torch.uint8, generator=generator
    )
    labels = torch.randint(cfg.num_classes, (batch_size,), generator=generator)
    return dict(
        inputs=inputs.to(device),
        data_samples=[
            DataSample(metainfo=dict(sample_id=i)).set_gt_label(label).to(device)
            for i, label in enumerate(labels)
        ],
    )


def random_agreements(count: int) -> torch.Tensor:
    """Similarities of two networks, some clean and some noisy, (2, N)."""
    generator = torch.Generator().manual_seed(0)
    share = torch.rand(2, count, generator=generator)
    wrong = torch.rand(2, count, generator=generator) < 0.3
    return torch.where(wrong, share**4, 1 - share**4)


def seconds_of(
    work: Callable[[], None], repeat: int, synchronize: Callable[[], None]
) -> float:
    """Median time of several calls."""
    seconds = interleave(dict(work=work), repeat, 1, synchronize)
    return float(np.median(seconds['work']))


def resup_shares(
    trainer: Trainer,
    batch_size: int,
    step: float,
    samples: int,
    synchronize: Callable[[], None],
) -> Dict[str, float]:
    """Cost of weighing and of a refit, beside the steps.

    Args:
        trainer (Trainer): Of ReSup.
        batch_size (int): Images of a step.
        step (float): Seconds of a step.
        samples (int): Images of an epoch.
        synchronize (Callable): Waits until the device is done.
    """
    model = trainer.model
    labels = torch.arange(batch_size, device=trainer.device) % model.num_classes
    log_prob = torch.randn(
        2, batch_size, model.num_classes, device=trainer.device
    ).log_softmax(2)
    agreements = random_agreements(samples).numpy()
    ids = np.random.default_rng(0).permutation(samples)

    def weigh():
        model.clean_probability(model.measure(list(log_prob), labels))

    def refit():
        merged = merge_by_id(ids, agreements, axis=1)[1]
        model.fit_noise_models(torch.from_numpy(merged))

    epoch = step * samples / batch_size
    return dict(
        weighing=float(f'{seconds_of(weigh, 50, synchronize) / step:.3g}'),
        refit=float(f'{seconds_of(refit, 5, synchronize) / epoch:.3g}'),
    )


def interleave(
    steps: Mapping[str, Callable[[], None]],
    rounds: int,
    repeat: int,
    synchronize: Callable[[], None],
) -> Dict[str, List[float]]:
    """Let all take turns and time them.

    Args:
        steps (Mapping[str, Callable]): What to time, by name.
        rounds (int): Turns of each.
        repeat (int): Calls per turn.
        synchronize (Callable): Waits until the device is done.

    Returns:
        dict[str, list[float]]: Seconds per call, one number per turn.
    """
    seconds = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            synchronize()
            start = time.perf_counter()
            for _ in range(repeat):
                step()
            synchronize()
            seconds[name].append((time.perf_counter() - start) / repeat)
    return seconds


def quartiles(values: Sequence[float]) -> Dict[str, float]:
    """Median and quartiles, to five digits."""
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    return {
        name: float(f'{value:.5g}')
        for name, value in (('median', median), ('q1', q1), ('q3', q3))
    }


def time_ratios(seconds: Mapping[str, List[float]]) -> Dict[str, Dict[str, float]]:
    """Quotients of the times of one round, over the rounds."""
    return {
        f'{a}/{b}': quartiles(np.divide(seconds[a], seconds[b]))
        for a, b in RATIOS
        if a in seconds and b in seconds
    }


def allocation_peak(changes: Sequence[int]) -> int:
    """Highest sum of a sequence of allocations (+) and releases (-)."""
    return int(np.cumsum([0, *changes]).max())


def cpu_growth(step: Callable[[], None]) -> int:
    """Bytes by which tensors on the CPU grow at most during a step."""
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
            'measured on this CPU; leave it out with --memory-steps 0.'
        )
    return allocation_peak([event.nbytes() for event in events])


def peak_memory(
    build: Callable[[], Trainer], steps: int, device: torch.device
) -> Optional[int]:
    """Bytes that a method needs in training; None without steps."""
    if not steps:
        return None
    gc.collect()
    before = torch.cuda.memory_allocated(device) if device.type == 'cuda' else 0
    trainer = build()
    for _ in range(WARMUP_STEPS):
        trainer.step()
    peaks = []
    for _ in range(steps):
        if device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(device)
            trainer.step()
            torch.cuda.synchronize(device)
            peaks.append(torch.cuda.max_memory_allocated(device) - before)
        else:
            resident = trainer.resident_bytes()
            peaks.append(resident + cpu_growth(trainer.step))
    return max(peaks)


def measure(setting: Setting, args: argparse.Namespace) -> dict:
    """All numbers of one setting."""
    device = args.device

    def build(method: str) -> Trainer:
        return Trainer(method, setting, args.precision, device)

    memory = {}
    for method in args.methods:
        progress(f'{setting.px} px: memory of {method}')
        memory[method] = peak_memory(
            lambda method=method: build(method), args.memory_steps, device
        )
    trainers = {method: build(method) for method in args.methods}
    for method, trainer in trainers.items():
        progress(f'{setting.px} px: warm-up of {method}')
        for _ in range(WARMUP_STEPS):
            trainer.step()
    progress(f'{setting.px} px: {args.pairs} rounds')
    seconds = interleave(
        {method: trainer.step for method, trainer in trainers.items()},
        args.pairs,
        args.steps,
        partial(synchronize, device),
    )
    medians = {m: float(np.median(values)) for m, values in seconds.items()}
    result = dict(
        px=setting.px,
        batch_size=setting.batch_size,
        precision={m: t.precision for m, t in trainers.items()},
        images_per_second={
            method: float(f'{setting.batch_size / median:.5g}')
            for method, median in medians.items()
        },
        time_ratio=time_ratios(seconds),
        seconds_per_step={
            method: [float(f'{value:.5g}') for value in values]
            for method, values in seconds.items()
        },
    )
    if 'resup' in trainers:
        result['resup_share'] = resup_shares(
            trainers['resup'],
            setting.batch_size,
            medians['resup'],
            args.samples,
            partial(synchronize, device),
        )
    if args.memory_steps:
        result.update(
            peak_memory_mib={
                method: round(value / MIB, 2) for method, value in memory.items()
            },
            memory_ratio={
                f'{a}/{b}': float(f'{memory[a] / memory[b]:.5g}')
                for a, b in RATIOS
                if a in memory and b in memory
            },
        )
    return result


def describe_machine(device: torch.device) -> dict:
    """What absolute numbers must stand beside."""
    machine = dict(
        cpu=cpu_name(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        device=str(device),
    )
    if hasattr(os, 'getloadavg'):
        # Ratios from a busy machine are worth less; let readers see it.
        machine['load_before'] = round(os.getloadavg()[0], 2)
    if device.type == 'cuda':
        machine['device_name'] = torch.cuda.get_device_name(device)
    return machine


def cpu_name() -> str:
    """Model name of the processor."""
    if osp.isfile('/proc/cpuinfo'):
        with open('/proc/cpuinfo') as file:
            for line in file:
                if line.startswith('model name'):
                    return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Compare training speed and memory of methods'
    )
    parser.add_argument(
        '--methods',
        nargs='+',
        choices=METHODS,
        default=list(METHODS),
        help='methods to compare',
    )
    parser.add_argument(
        '--settings',
        nargs='+',
        choices=['r18', 'small'],
        default=['r18', 'small'],
        help='networks: ResNet-18 at 224 px, the small one at 44 px',
    )
    parser.add_argument(
        '--pairs',
        type=int,
        default=30,
        help='rounds in which every method takes its turn',
    )
    parser.add_argument('--steps', type=int, default=1, help='training steps per turn')
    parser.add_argument(
        '--memory-steps',
        type=int,
        default=3,
        help='steps of which the largest memory counts; 0 leaves it out',
    )
    parser.add_argument(
        '--samples',
        type=int,
        default=28153,
        help="images of an epoch, for ReSup's refit; FERPlus by default",
    )
    parser.add_argument('--px', type=int, default=224, help='image size of r18')
    parser.add_argument(
        '--batch-size',
        type=int,
        help='batch size of r18; 16 on a CPU and 128 on CUDA by default',
    )
    parser.add_argument('--small-px', type=int, default=44, help='image size of small')
    parser.add_argument(
        '--small-batch-size', type=int, default=128, help='batch size of small'
    )
    parser.add_argument(
        '--precision',
        choices=['config', 'float32', 'bfloat16'],
        default='config',
        help="of the forward pass; by default each config's own",
    )
    add_device_argument(parser)
    parser.add_argument(
        '--threads', type=int, help="CPU threads; torch's choice by default"
    )
    args = parser.parse_args(argv)
    if args.batch_size is None:
        args.batch_size = 16 if args.device.type == 'cpu' else 128
    # Batch statistics of one image are undefined.
    for name, least in (
        ('pairs', 1),
        ('steps', 1),
        ('memory_steps', 0),
        ('px', 8),
        ('small_px', 8),
        ('batch_size', 2),
        ('small_batch_size', 2),
    ):
        if getattr(args, name) < least:
            parser.error(f'--{name.replace("_", "-")} must be at least {least}')
    return args


def run(args: argparse.Namespace) -> dict:
    """The whole benchmark."""
    if args.threads:
        torch.set_num_threads(args.threads)
    init_default_scope('mmfer')
    # A line for each parameter of each model would drown the progress.
    MMLogger.get_instance('mmengine', log_level='WARNING')
    settings = dict(
        r18=Setting('{method}/{method}_r18_rafdb.py', args.px, args.batch_size),
        small=Setting(
            '{method}/{method}_r18_ferplus.py', args.small_px, args.small_batch_size
        ),
    )
    return dict(
        machine=describe_machine(args.device),
        pairs=args.pairs,
        steps=args.steps,
        settings={name: measure(settings[name], args) for name in args.settings},
    )


def main(argv: Optional[List[str]] = None) -> None:
    args = parse_args(argv)
    if args.device.type == 'cpu':
        # As tools/train.py does.
        keep_freed_memory()
    # Loggers of OpenMMLab write to stdout, which belongs to the result.
    with redirect_stdout(sys.stderr):
        result = run(args)
    print(json.dumps(result))


if __name__ == '__main__':
    main()
