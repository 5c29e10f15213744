"""What was found and done, for people."""

import json
import os
import os.path as osp
from typing import Sequence

import numpy as np
from matplotlib.figure import Figure

from mmfer.utils.files import write_atomic
from mmfer.utils.palette import CLEAN, NOISY

from .label_decisions import LabelDecisions
from .splitting import subset_names


def listed(numbers: np.ndarray, classes: Sequence[str]) -> str:
    """Counts with their classes, the largest first; empty without any."""
    return ', '.join(
        f'{numbers[i]} to {classes[i]}'
        for i in np.argsort(-numbers, kind='stable')
        if numbers[i]
    )


def describe(label_decisions: LabelDecisions, classes: Sequence[str]) -> str:
    """What was done, in words: of all samples, then of each class.

    Args:
        label_decisions (LabelDecisions): Of a data set.
        classes (Sequence[str]): Its class names.
    """
    decision, suggested = (label_decisions.decision, label_decisions.suggested_label)

    def count(what, chosen=True):
        return int(((decision == what) & chosen).sum())

    def targets(chosen):
        return listed(
            np.bincount(
                suggested[(decision == 'relabel') & chosen], minlength=len(classes)
            ),
            classes,
        )

    lines = [
        f'GAAVE: of {len(decision)} labels {label_decisions.candidate.sum()} were '
        f'in doubt. {count("keep")} are kept, {count("relabel")} changed'
        f'{f" ({targets(True)})" if count("relabel") else ""}, and '
        f'{count("drop")} samples dropped.'
    ]
    for label, name in enumerate(classes):
        mine = label_decisions.given_label == label
        if mine.any():
            lines.append(
                f'  {name}: {count("keep", mine)} of {mine.sum()} kept, '
                f'{targets(mine) or "none changed"}, {count("drop", mine)} '
                'dropped'
            )
    return '\n'.join(lines)


def plot_steps(label_decisions: LabelDecisions):
    """Histogram of k for each subset, with the candidates in colour.

    Args:
        label_decisions (LabelDecisions): Of a data set.

    Returns:
        matplotlib.figure.Figure: One panel for each subset.
    """
    subsets = np.unique(label_decisions.subset)
    # Not by pyplot, which may have been set up for a screen.
    figure = Figure(figsize=(4.2 * len(subsets), 3.2), layout='constrained')
    panels = figure.subplots(1, len(subsets), squeeze=False)
    values = np.unique(label_decisions.attack_steps)
    # Means over several passes lie closer than 1.
    width = 0.8 * min([1, *np.diff(values)])
    for axes, subset, name in zip(panels[0], subsets, subset_names(len(subsets))):
        mine = label_decisions.subset == subset
        for candidate, colour, label in (
            (True, NOISY, 'candidates'),
            (False, CLEAN, 'others'),
        ):
            chosen = mine & (label_decisions.candidate == candidate)
            steps, counts = np.unique(
                label_decisions.attack_steps[chosen], return_counts=True
            )
            axes.bar(
                steps, counts, width, color=colour, label=f'{label} ({chosen.sum()})'
            )
        axes.set(
            title=name,
            xlabel='steps that the prediction survives, k',
            ylabel='samples',
            xticks=np.arange(np.floor(values.max()) + 1),
        )
        axes.legend(frameon=False)
    return figure


def write_report(
    folder: str, label_decisions: LabelDecisions, record: dict, classes: Sequence[str]
) -> None:
    """Write ``report.txt``, ``record.json`` and ``attack_steps.png``.

    Args:
        folder (str): Where to.
        label_decisions (LabelDecisions): Of a data set.
        record (dict): What the thresholds were found from.
        classes (Sequence[str]): Class names of the data set.
    """
    os.makedirs(folder, exist_ok=True)
    text = describe(label_decisions, classes)
    write_atomic(osp.join(folder, 'report.txt'), f'{text}\n'.encode())
    write_atomic(
        osp.join(folder, 'record.json'), f'{json.dumps(record, indent=1)}\n'.encode()
    )
    plot_steps(label_decisions).savefig(osp.join(folder, 'attack_steps.png'), dpi=110)
