"""Speed and memory of a training step of several methods."""

import argparse
import gc
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.optim import build_optim_wrapper
from mmpretrain.structures import DataSample

from mmfer.analysis.benchmarks.methods import find_methods, read_ablation
from mmfer.analysis.benchmarks.timing import (
    cpu_growth,
    interleave,
    pairs,
    progress,
    seconds_of,
    time_ratios,
)
from mmfer.engine.scoring import merge_by_id
from mmfer.models import DualNetwork
from mmfer.models.sample_state import TrainingFacts, followers
from mmfer.registry import MODELS
from mmfer.utils.devices import synchronize

# The optimizer allocates its state in the first step.
WARMUP_STEPS = 2
MIB = 2**20


@dataclass
class Setting:
    """One network at one size.

    Attributes:
        config (str): Name of its configs without the method, as ``r18_rafdb``.
        px (int): Side of an image.
        batch_size (int): Images per step.
    """

    config: str
    px: int
    batch_size: int


@dataclass
class Row:
    """One method, or a variant of it.

    Attributes:
        file (str): Config file, with ``{config}`` for the name in the setting.
        options (list[str]): Overrides, as ``key=value``.
    """

    file: str
    options: List[str]


def find_rows(configs: Path, names: Sequence[str]) -> Dict[str, Row]:
    """Return the methods with a config for each setting, and their variants.

    Variants are the rows under ``train_speed`` in a method's ``ablation.yml``.

    Args:
        configs (Path): Folder with one folder per method.
        names (Sequence[str]): Names of configs without the method.
    """
    rows = {}
    for method in find_methods(configs, names[0]):
        if not all(method in find_methods(configs, name) for name in names[1:]):
            continue
        file = f'{configs / method / method}_{{config}}.py'
        rows[method] = Row(file, [])
        for row, options in read_ablation(configs, method, 'train_speed').items():
            rows[row] = Row(file, options)
    return rows


def load_config(row: Row, setting: Setting, precision: str) -> Config:
    """Read the training config of a row, without pretrained weights.

    Args:
        row (Row): Method or variant.
        setting (Setting): Network and size.
        precision (str): ``float32``, ``bfloat16``, or ``config`` for its own.
    """
    cfg = Config.fromfile(row.file.format(config=setting.config))
    options = (option.split('=', 1) for option in row.options)
    cfg.merge_from_dict({k: DictAction._parse_iterable(v) for k, v in options})
    for network in networks_of(cfg.model):
        network.backbone.init_cfg = None
    shape = cfg.data_preprocessor.input_shape
    cfg.data_preprocessor.input_shape = (shape[0], setting.px, setting.px)
    cfg.model.data_preprocessor = cfg.data_preprocessor
    if precision != 'config':
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
        cfg.optim_wrapper.dtype = precision
    return cfg


def networks_of(model: ConfigDict) -> List[ConfigDict]:
    """Return the settings of each network of a model."""
    pair = [model[k] for k in ('network1', 'network2') if k in model]
    return pair or [model]


# Later than the warm-up of any method.
LATE = 9_999


class Trainer:
    """Model with its optimizer and a batch, ready for training steps."""

    def __init__(
        self, row: Row, setting: Setting, precision: str, device: torch.device
    ):
        cfg = load_config(row, setting, precision)
        torch.manual_seed(0)
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        self.model.to(device).train()
        self.optim_wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        if hasattr(self.optim_wrapper, 'device_type'):
            # By default, the wrapper uses the best device of the machine.
            self.optim_wrapper.device_type = device.type
        self.device = device
        if isinstance(self.model, DualNetwork):
            # Measure steps after the warm-up, when noise models weigh the samples.
            self.model.start_epoch(self.model.warmup_epochs)
            self.model.fit_noise_models(random_agreements(1000))
        for _, part in followers(self.model):
            # A late epoch, when every term of the loss is at work.
            part.start_training(TrainingFacts(setting.batch_size, LATE + 1))
            part.start_epoch(LATE)
        self.batch = random_batch(cfg.data_preprocessor, setting.batch_size, device)

    def step(self) -> None:
        """Run one training step: forward, backward and update."""
        self.model.train_step(self.batch, self.optim_wrapper)

    @property
    def precision(self) -> str:
        """str: Number format of the forward pass."""
        autocast = getattr(self.optim_wrapper, 'enabled', False)
        return 'bfloat16' if autocast else 'float32'

    def resident_bytes(self) -> int:
        """Return the bytes held between two steps: weights, moments, images."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        tensors += [p.grad for p in self.model.parameters() if p.grad is not None]
        for state in self.optim_wrapper.optimizer.state.values():
            tensors += [v for v in state.values() if torch.is_tensor(v)]
        tensors.append(self.batch['inputs'])
        return sum(t.numel() * t.element_size() for t in tensors)


def random_batch(cfg: ConfigDict, batch_size: int, device: torch.device) -> dict:
    """Draw images and labels, and collate them as a data loader does."""
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
    """Draw agreements of two networks, shape (2, N), 30 % of them of wrong labels."""
    generator = torch.Generator().manual_seed(0)
    share = torch.rand(2, count, generator=generator)
    wrong = torch.rand(2, count, generator=generator) < 0.3
    return torch.where(wrong, share**4, 1 - share**4)


def noise_model_shares(
    trainer: Trainer,
    batch_size: int,
    step: float,
    samples: int,
    synchronize: Callable[[], None],
) -> Dict[str, float]:
    """Measure the relative time to weigh a batch and to refit noise models.

    Args:
        trainer (Trainer): Trainer of a model of two networks.
        batch_size (int): Number of images of a step.
        step (float): Seconds of a step.
        samples (int): Number of images of an epoch.
        synchronize (Callable): Function that waits until the device is done.

    Returns:
        dict[str, float]: ``weighing`` as a share of the time of a step, ``refit``
        of both noise models as a share of the time of an epoch's steps.
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


def peak_memory(
    build: Callable[[], Trainer], steps: int, device: torch.device
) -> Optional[int]:
    """Return the memory of a training step in bytes; None if ``steps`` is 0."""
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


def measure(
    setting: Setting, rows: Dict[str, Row], args: argparse.Namespace
) -> Dict[str, Any]:
    """Measure all rows in one setting.

    Args:
        setting (Setting): Network and size.
        rows (dict): Methods and variants, by name.
        args (argparse.Namespace): ``device``, ``precision``, ``pairs``, ``steps``,
            ``memory_steps``, ``samples`` and ``baselines`` of the tool.
    """
    device = args.device
    wait = partial(synchronize, device)

    def build(name: str) -> Trainer:
        return Trainer(rows[name], setting, args.precision, device)

    memory = {}
    for name in rows:
        progress(f'{setting.px} px: memory of {name}')
        memory[name] = peak_memory(partial(build, name), args.memory_steps, device)
    trainers = {name: build(name) for name in rows}
    for name, trainer in trainers.items():
        progress(f'{setting.px} px: warm-up of {name}')
        for _ in range(WARMUP_STEPS):
            trainer.step()
    progress(f'{setting.px} px: {args.pairs} rounds')
    seconds = interleave(
        {name: trainer.step for name, trainer in trainers.items()},
        args.pairs,
        args.steps,
        wait,
    )
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    result: Dict[str, Any] = dict(
        px=setting.px,
        batch_size=setting.batch_size,
        precision={name: t.precision for name, t in trainers.items()},
        images_per_second={
            name: float(f'{setting.batch_size / median:.5g}')
            for name, median in medians.items()
        },
        time_ratio=time_ratios(seconds, args.baselines),
        seconds_per_step={
            name: [float(f'{value:.5g}') for value in values]
            for name, values in seconds.items()
        },
        noise_model_share={
            name: noise_model_shares(
                trainer, setting.batch_size, medians[name], args.samples, wait
            )
            for name, trainer in trainers.items()
            if isinstance(trainer.model, DualNetwork)
        },
    )
    if args.memory_steps:
        result.update(memory_figures(memory, args.baselines))
    return result


def memory_figures(
    memory: Mapping[str, Optional[int]], baselines: Sequence[str]
) -> Dict[str, Dict[str, float]]:
    """Return peaks of memory in MiB, and their ratios to the baselines.

    Args:
        memory (Mapping[str, int]): Bytes by row.
        baselines (Sequence[str]): Rows to divide by.
    """
    known = {name: value for name, value in memory.items() if value is not None}
    return dict(
        peak_memory_mib={name: round(value / MIB, 2) for name, value in known.items()},
        memory_ratio={
            f'{a}/{b}': float(f'{known[a] / known[b]:.5g}')
            for a, b in pairs(known, baselines)
        },
    )
