"""Human-readable report of a cleaning run: text, record and figure."""

import json
import os
import os.path as osp
from typing import TYPE_CHECKING, Dict, Sequence

import numpy as np

from mmfer.utils.files import write_atomic, write_figure
from mmfer.utils.palette import CLEAN, NOISY

from .label_decisions import LabelDecisions
from .splitting import subset_names

REPORT_FILES = ('report.txt', 'record.json', 'attack_steps.png')
"""Files that :func:`write_report` writes."""

# Matplotlib takes half a second to import, and most runs draw nothing. Functions
# import it.
if TYPE_CHECKING:
    from matplotlib.figure import Figure


def list_targets(numbers: np.ndarray, classes: Sequence[str]) -> str:
    """List counts with their classes, largest count first.

    Args:
        numbers (np.ndarray): Number of samples that get each class, (C, ).
        classes (Sequence[str]): Class names.

    Returns:
        str: E.g. ``'3 to neutral, 1 to anger'``; empty if all counts are 0.
    """
    return ', '.join(
        f'{numbers[i]} to {classes[i]}'
        for i in np.argsort(-numbers, kind='stable')
        if numbers[i]
    )


def describe(label_decisions: LabelDecisions, classes: Sequence[str]) -> str:
    """Describe the decisions as text: for all samples, then for each class.

    Args:
        label_decisions (LabelDecisions): Decisions on a data set.
        classes (Sequence[str]): Class names of the data set.
    """
    decision, suggested = label_decisions.decision, label_decisions.suggested_label
    everything = np.ones(len(decision), dtype=bool)

    def count(name: str, chosen: np.ndarray = everything) -> int:
        return int(((decision == name) & chosen).sum())

    def targets(chosen: np.ndarray = everything) -> str:
        changed = suggested[(decision == 'relabel') & chosen]
        return list_targets(np.bincount(changed, minlength=len(classes)), classes)

    lines = [
        f'GAAVE: of {len(decision)} labels {label_decisions.candidate.sum()} were '
        f'in doubt. {count("keep")} are kept, {count("relabel")} changed'
        f'{f" ({targets()})" if count("relabel") else ""}, and '
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


def plot_steps(label_decisions: LabelDecisions) -> 'Figure':
    """Plot a histogram of k for each subset, with the candidates in colour.

    Args:
        label_decisions (LabelDecisions): Decisions on a data set.

    Returns:
        matplotlib.figure.Figure: Figure with one panel per subset.
    """
    from matplotlib.figure import Figure

    subsets = np.unique(label_decisions.subset)
    # Do not use pyplot, which may be set up for a screen.
    figure = Figure(figsize=(4.2 * len(subsets), 3.2), layout='constrained')
    panels = figure.subplots(1, len(subsets), squeeze=False)
    values = np.unique(label_decisions.attack_steps)
    # Means of k over several passes can be closer together than 1.
    width = 0.8 * min([1, *np.diff(values)])
    for axes, subset, name in zip(panels[0], subsets, subset_names(len(subsets))):
        mine = label_decisions.subset == subset
        # With divide='all', both colours can have the same k: stack them.
        below: Dict[float, int] = {}
        for candidate, colour, label in (
            (True, NOISY, 'candidates'),
            (False, CLEAN, 'others'),
        ):
            chosen = mine & (label_decisions.candidate == candidate)
            steps, counts = np.unique(
                label_decisions.attack_steps[chosen], return_counts=True
            )
            axes.bar(
                steps,
                counts,
                width,
                bottom=[below.get(step, 0) for step in steps],
                color=colour,
                label=f'{label} ({chosen.sum()})',
            )
            below.update(zip(steps, counts))
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
        folder (str): Folder to write to; created if it does not exist.
        label_decisions (LabelDecisions): Decisions on a data set.
        record (dict): Record of the run, see :meth:`GAAVE.__call__`.
        classes (Sequence[str]): Class names of the data set.
    """
    os.makedirs(folder, exist_ok=True)
    warnings = [f'WARNING: {text}' for text in record.get('warnings', [])]
    text = '\n'.join([*warnings, describe(label_decisions, classes)])
    write_atomic(osp.join(folder, 'report.txt'), f'{text}\n'.encode())
    write_atomic(
        osp.join(folder, 'record.json'), f'{json.dumps(record, indent=1)}\n'.encode()
    )
    figure = plot_steps(label_decisions)
    write_figure(figure, osp.join(folder, 'attack_steps.png'), dpi=110)
