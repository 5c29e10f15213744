"""Wrong labels that are left, against right ones that are kept."""

from typing import Dict, List, Sequence, Tuple

import numpy as np
from matplotlib.figure import Figure

from mmfer.analysis.benchmarks.label_cleaning import outcome
from mmfer.analysis.figures import finish, style_of
from mmfer.score_table import ScoreTable


def left_and_kept(
    noise_score: np.ndarray, wrong: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Compute what any threshold of the noise score would leave.

    Args:
        noise_score (np.ndarray): Larger is more suspicious, (N, ).
        wrong (np.ndarray): Whether the given label is wrong, bool (N, ).

    Returns:
        tuple[np.ndarray, np.ndarray]: For each distinct score in ascending order, if
        only larger ones are dropped: the share of wrong labels among those left, and
        the share of the right labels that are kept, both in [0, 1].

    Raises:
        ValueError: No label is right.
    """
    wrong = np.asarray(wrong, bool)
    if wrong.all():
        raise ValueError('No label is right, so none can be kept.')
    scores, where = np.unique(noise_score, return_inverse=True)
    size = np.cumsum(np.bincount(where, minlength=len(scores)))
    bad = np.cumsum(np.bincount(where, weights=wrong, minlength=len(scores)))
    return bad / size, (size - bad) / (~wrong).sum()


def curve_rows(
    tables: Dict[str, ScoreTable], shares: Sequence[float]
) -> List[Dict[str, object]]:
    """Compute how many wrong labels are left if a share of the right ones is kept.

    Args:
        tables (dict): Columns of each score table, by name.
        shares (Sequence[float]): Shares of right labels to keep, in [0, 1].

    Returns:
        list[dict]: One row for each share, with ``right_ones_kept`` in per cent, and
        the wrong labels left, in per cent, by the name of the table.
    """
    rows: List[Dict[str, object]] = []
    curves = {name: left_and_kept(*_columns(table)) for name, table in tables.items()}
    for share in shares:
        row: Dict[str, object] = dict(right_ones_kept=f'{100 * share:g}')
        for name, (left, kept) in curves.items():
            # Any threshold that keeps more than the share keeps it, too.
            row[name] = f'{100 * left[np.searchsorted(kept, share - 1e-12)]:.1f}'
        rows.append(row)
    return rows


def curve_figure(tables: Dict[str, ScoreTable]) -> Figure:
    """Draw the curves, with a marker at the decisions of each table.

    A marker can lie beside its curve: decisions also come from annotators, and
    relabelled samples are left, too.

    Args:
        tables (dict): Columns of each score table, by name.
    """
    figure = Figure(figsize=(6.4, 4.2), layout='constrained')
    axes = figure.subplots()
    lowest = 50.0
    for number, (name, table) in enumerate(tables.items()):
        style = style_of(number)
        left, kept = left_and_kept(*_columns(table))
        axes.plot(100 * kept, 100 * left, color=style['color'])
        became = outcome(table)
        lowest = min(lowest, 100 * became['right_kept'] - 5)
        axes.plot(
            100 * became['right_kept'],
            100 * became['wrong_after'],
            linestyle='none',
            markersize=8,
            label=name,
            **style,
        )
    axes.set(xlabel='right labels kept, %', ylabel='wrong labels among those left, %')
    # Thresholds that would keep fewer right labels are of no use.
    axes.set_xlim(max(lowest, 0), 101)
    axes.set_ylim(bottom=0)
    finish(axes)
    return figure


def _columns(table: ScoreTable) -> Tuple[np.ndarray, np.ndarray]:
    """Return noise scores, and which labels are wrong."""
    return table['noise_score'], table['given_label'] != table['clean_label']
