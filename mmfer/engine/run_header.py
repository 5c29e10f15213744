"""What is trained or tested on what, in a few lines for the console."""

import os.path as osp
from typing import Any, Iterator, List, Optional

import numpy as np
import torch.nn as nn
from mmengine.device import get_device
from mmengine.runner import IterBasedTrainLoop, Runner

from mmfer.datasets import fer_datasets
from mmfer.models.utils import unwrap_model

# Columns of a line, and number of classes whose counts are listed.
WIDTH, MOST_CLASSES = 80, 12


def run_header(runner: Runner, mode: str = 'train') -> str:
    """Describe a run before its first iteration.

    Args:
        runner (Runner): Runner with a built loop.
        mode (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
    """
    lines = [f'{run_name(runner)}: {length(runner) if mode == "train" else "test"}']
    lines[0] += f' on {device_text(runner)}, seed {runner.seed}'
    loader = runner.train_dataloader if mode == 'train' else runner.test_dataloader
    lines += described('data', loader.dataset)
    if mode == 'train' and runner._val_loop is not None:
        lines += [f'  {"validation":<11}{images_of(runner.val_dataloader.dataset)}']
    lines.append(f'  {"model":<11}{model_text(unwrap_model(runner.model))}')
    log = runner.logger.log_file or runner.log_dir
    where = osp.relpath(log, runner.work_dir)
    lines.append(f'  {"results":<11}{runner.work_dir} (log: {where})')
    return '\n'.join(lines)


def cleaning_header(runner: Runner, dataset: Any, folder: str) -> str:
    """Describe a cleaning before it begins.

    Args:
        runner (Runner): Runner of the training config; it trains nothing.
        dataset (FERDataset): The training set.
        folder (str): Folder of the results.
    """
    log = runner.logger.log_file or runner.log_dir
    lines = [
        f'{run_name(runner)}: the training labels are cleaned on '
        f'{device_text(runner)}, seed {runner.seed}',
        *described('data', dataset),
        f'  {"results":<11}{folder} (log: {osp.relpath(log, folder)})',
    ]
    return '\n'.join(lines)


def run_name(runner: Runner) -> str:
    """Return the name of a run: that of its config."""
    return osp.splitext(osp.basename(runner.cfg.filename or runner.experiment_name))[0]


def length(runner: Runner) -> str:
    """Return how long a run trains."""
    loop: Any = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        return f'{loop.max_iters} iterations'
    return '1 epoch' if loop.max_epochs == 1 else f'{loop.max_epochs} epochs'


def device_text(runner: Runner) -> str:
    """Return the device, the precision and the number of processes."""
    device = get_device()
    wrapper = runner.optim_wrapper
    if getattr(wrapper, 'enabled', False):
        device += ' (bfloat16)'
    if runner.world_size > 1:
        device += f', {runner.world_size} processes'
    return device


def images_of(dataset: Any) -> str:
    """Return the number of images of a data set, and its name."""
    names = {inner.name for inner in fer_datasets(dataset)} or {type(dataset).__name__}
    number = len(dataset)
    return f'{number:,} image{"s" * (number != 1)} of {", ".join(sorted(names))}'


def described(label: str, dataset: Any) -> Iterator[str]:
    """Yield the lines about a data set: size, classes, noise and decisions."""
    yield f'  {label:<11}{images_of(dataset)}'
    inner = list(fer_datasets(dataset))
    if len(inner) != 1:
        return
    (found,) = inner
    try:
        counts = np.bincount(found.get_gt_labels(), minlength=found.num_classes)
        yield from wrapped('classes', class_counts(found.CLASSES, counts))
    except (TypeError, ValueError):
        # Labels of other kinds, such as sets, have no counts.
        pass
    noise = noise_text(found)
    if noise is not None:
        yield from wrapped('noise', [noise])
    if found.decisions is not None:
        yield from wrapped('decisions', [decisions_text(found)])


def class_counts(classes: Optional[Any], counts: np.ndarray) -> List[str]:
    """Return each class with its number of images; many classes as a range.

    Args:
        classes (Sequence[str], optional): Names; numbers are used without them.
        counts (np.ndarray): Images of each class, int (C,).
    """
    if len(counts) > MOST_CLASSES:
        return [f'{len(counts)} classes of {counts.min():,} to {counts.max():,} images']
    names = classes or [str(i) for i in range(len(counts))]
    return [f'{name} {count:,}' for name, count in zip(names, counts)]


def noise_text(dataset: Any) -> Optional[str]:
    """Return a sentence on the planted noise; None without any."""
    manifest = dataset.noise_manifest() or {}
    parts = []
    if 'num_changed' in manifest:
        options = [f'{k}={v}' for k, v in (manifest.get('parameters') or {}).items()]
        if 'seed' in manifest:
            options.append(f'seed={manifest["seed"]}')
        parts.append(
            (manifest.get('generator') or manifest.get('noisy_list') or 'a list')
            + (f' ({", ".join(options)})' if options else '')
            + f': {manifest["num_changed"]:,} of {manifest["num_samples"]:,} labels '
            'changed'
            # The noise is planted in all labels, whatever images a run uses.
             + (f', {len(dataset):,} used' * (len(dataset) < manifest['num_samples']))
        )
    elif manifest:
        parts.append(str(manifest.get('generator', 'planted noise')))
    return '; '.join(parts) or None


def decisions_text(dataset: Any) -> str:
    """Return what the decisions of a table have changed in a training set."""
    table = dataset.label_decisions
    relabelled = table['sample_id'][table['decision'] == 'relabel']
    changed = int(np.isin(dataset.sample_ids, relabelled).sum())
    before = len(dataset.uncleaned)
    return (
        f'{dataset.decisions}: {changed:,} label{"s" * (changed != 1)} changed, '
        f'{before - len(dataset):,} of {before:,} images dropped'
    )


def model_text(model: nn.Module) -> str:
    """Return the types of a model and its backbone, and its number of parameters."""
    number = sum(p.numel() for p in model.parameters() if p.requires_grad)
    backbones = [
        type(part).__name__
        for name, part in model.named_modules()
        if name.rpartition('.')[2] == 'backbone'
    ]
    network = f' of {" and ".join(dict.fromkeys(backbones))}' if backbones else ''
    times = f' ({len(backbones)} networks)' if len(backbones) > 1 else ''
    return f'{type(model).__name__}{network}{times}, {number / 1e6:.2f} M parameters'


def wrapped(label: str, items: List[str]) -> Iterator[str]:
    """Yield items in lines of the console, separated by commas.

    Args:
        label (str): Word before the first line.
        items (list[str]): Texts that are not divided.
    """
    line = f'  {label:<11}'
    start = len(line)
    for i, item in enumerate(items):
        text = item + (', ' if i + 1 < len(items) else '')
        if len(line) > start and len(line) + len(text.rstrip()) > WIDTH:
            yield line.rstrip()
            line = ' ' * start
        line += text
    yield line.rstrip()
