"""Runs and table of what initial weights change on FERPlus with planted noise."""

import csv
import io
from typing import Any, Dict, List, NamedTuple, Sequence

from mmfer.analysis.benchmarks.training_runs import PlannedRun, Results
from mmfer.analysis.tables import run_value, tail_epochs

METHODS = ('ce', 'resup')
METRICS = {
    'accuracy/top1': 'accuracy',
    'accuracy/mean_class': 'mean_class',
    'rejection/confidence_20': 'rejecting_20',
}
"""Columns of the table, by metric."""


class Start(NamedTuple):
    """One way to start the training.

    Attributes:
        name (str): Its word in the names of the rows.
        network (str): Network, for the table.
        weights (str): Initial weights, for the table.
        size (int): Height and width of the images in pixels.
        lite0 (bool): Whether the backbone is EfficientNet-Lite0.
        flags (list[str]): Flags of ``tools/train.py``.
    """

    name: str
    network: str
    weights: str
    size: int
    lite0: bool
    flags: List[str]


STARTS = (
    Start('r18', 'ResNet-18 of width 32', 'random', 44, False, []),
    Start('scratch', 'EfficientNet-Lite0', 'random', 64, True, []),
    Start(
        'pretrained',
        'EfficientNet-Lite0',
        'ImageNet',
        64,
        True,
        ['--init', 'pretrained'],
    ),
)


def plan(
    images: int, epochs: int, starts: Sequence[str], extra: Sequence[str], seed: int = 0
) -> List[PlannedRun]:
    """List the runs, cross-entropy first.

    All have the schedule of the open protocol, shortened to ``epochs``.

    Args:
        images (int): Number of training images, the first ones of the list.
        epochs (int): Number of epochs.
        starts (Sequence[str]): Names in :data:`STARTS`.
        extra (Sequence[str]): Overrides for all runs.
        seed (int): Seed of runs and noise. Defaults to 0.
    """
    # As 14 and 20 of 24 epochs.
    milestones = f'[{epochs * 7 // 12},{epochs * 5 // 6}]'
    runs = []
    for method in METHODS:
        for start in STARTS:
            if start.name in starts:
                options = [
                    f'train_dataloader.dataset.indices={images}',
                    f'train_cfg.max_epochs={epochs}',
                    f'param_scheduler.milestones={milestones}',
                    'default_hooks.summary.last_k=2',
                    *network_options(method, start),
                    *extra,
                ]
                name = f'{method}_{start.name}'
                config = f'configs/{method}/{method}_r18_ferplus_noise30.py'
                runs.append(PlannedRun(name, config, seed, options, start.flags))
    return runs


def network_options(method: str, start: Start) -> List[str]:
    """Return the overrides for the network and the size of its images."""
    if not start.lite0:
        return []
    network = 'model.network1' if method == 'resup' else 'model'
    enlarged = start.size * 48 // 44
    options = [
        f'{network}.backbone._delete_=True',
        f'{network}.backbone.type=EfficientNetLite0',
        f'data_preprocessor.input_shape=(1,{start.size},{start.size})',
        # Those of the weights, for random weights, too.
        'data_preprocessor.mean=[127.5]',
        'data_preprocessor.std=[127.5]',
        # On CPUs, depthwise convolutions are slower in bfloat16.
        'optim_wrapper.dtype=float32',
    ]
    for loader in ('train', 'val', 'test'):
        steps = f'{loader}_dataloader.dataset.pipeline'
        options += [
            f'{steps}.1.scale=({enlarged},{enlarged})',
            f'{steps}.1.interpolation=bilinear',
            f'{steps}.2.crop_size={start.size}',
        ]
    return options


def table(summaries: Results, images: int) -> List[Dict[str, Any]]:
    """Return a row for each finished run, with its values in per cent.

    Args:
        summaries (dict): ``summary.json`` by row and seed.
        images (int): Number of training images.
    """
    rows = []
    for method in METHODS:
        for start in STARTS:
            for seed, summary in sorted(
                summaries.get(f'{method}_{start.name}', {}).items()
            ):
                values = {
                    column: round(run_value(summary, metric) or 0.0, 2)
                    for metric, column in METRICS.items()
                }
                rows.append(
                    dict(
                        method=dict(ce='CE', resup='ReSup')[method],
                        network=start.network,
                        weights=start.weights,
                        size=start.size,
                        images=images,
                        epochs=summary['epochs'],
                        averaged=tail_epochs(summary),
                        seed=seed,
                        **values,
                        best_epoch=round(
                            run_value(summary, 'accuracy/top1', 'best') or 0.0, 2
                        ),
                        noise_auroc=round(summary['noise_auroc'] or 0.0, 3),
                        minutes=round(summary['seconds'] / 60),
                    )
                )
    return rows


def as_csv(rows: List[Dict[str, Any]]) -> str:
    """Return rows as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
