"""Measure how well planted wrong labels are found and corrected."""

from typing import Dict, List, Optional

import numpy as np

from mmfer.evaluation.functional import auroc
from mmfer.score_table import (
    ScoreTable,
    labels_after_decisions,
    read_score_table,
    replace_decisions,
)


def detection(table: ScoreTable) -> dict:
    """Measure how well ``candidate`` and ``noise_score`` find wrong labels.

    Args:
        table (dict): Columns as arrays.
    """
    wrong = table['given_label'] != table['clean_label']
    found = table['candidate'] == 1
    hits = (found & wrong).sum()
    precision = hits / max(found.sum(), 1)
    recall = hits / max(wrong.sum(), 1)
    return dict(
        candidates=int(found.sum()),
        auroc=auroc(table['noise_score'], wrong),
        precision=float(precision),
        recall=float(recall),
        f1=float(2 * precision * recall / max(precision + recall, 1e-12)),
    )


def outcome(table: ScoreTable, mine: Optional[np.ndarray] = None) -> dict:
    """Measure the labels before and after a cleaning, as shares in [0, 1].

    Args:
        table (dict): Columns as arrays.
        mine (np.ndarray, optional): Samples to count, bool (N, ). Defaults to all.

    Returns:
        dict: Numbers of samples and shares; a share of no samples is NaN.

        - ``samples``: Number of counted samples.
        - ``left``: Number of samples that are not dropped.
        - ``wrong_before``: Share of wrong labels before the cleaning.
        - ``wrong_after``: Share of wrong labels among the samples left.
        - ``right_kept``: Share of the right labels that are kept.
        - ``changed_right``: Share of the changed labels that are now right.
    """
    if mine is not None:
        table = {k: v[mine] for k, v in table.items()}
    decision, clean = table['decision'], table['clean_label']
    wrong = table['given_label'] != clean
    left, label = labels_after_decisions(table)

    def share(what: np.ndarray, of: np.ndarray) -> float:
        return float(what[of].mean()) if of.any() else float('nan')

    return dict(
        samples=len(wrong),
        left=int(left.sum()),
        wrong_before=share(wrong, np.ones_like(wrong)),
        wrong_after=share(label != clean, left),
        right_kept=share(decision == 'keep', ~wrong),
        changed_right=share(label == clean, decision == 'relabel'),
    )


def random_drops(decision: np.ndarray, seed: int) -> np.ndarray:
    """Return decisions that drop equally many samples, chosen at random."""
    drawn = np.random.default_rng(seed).permutation(len(decision))
    control = np.full(len(decision), 'keep', dtype='<U7')
    control[drawn[: (decision == 'drop').sum()]] = 'drop'
    return control


def control_table(table: ScoreTable, seed: int) -> ScoreTable:
    """Return a table that drops equally many samples at random, and relabels none.

    Args:
        table (dict[str, np.ndarray]): Columns of a score table, (N,).
        seed (int): Seed of the draw.
    """
    decision = random_drops(table['decision'], seed)
    return replace_decisions(
        table, decision, np.where(decision == 'drop', -1, table['given_label'])
    )


def read_clean_table(path: str) -> ScoreTable:
    """Read a score table that has clean labels.

    Args:
        path (str): Path of the table.

    Raises:
        SystemExit: The table has no clean labels.
    """
    table = read_score_table(path)
    if 'clean_label' not in table:
        raise SystemExit(
            f'{path} has no column clean_label, so wrong labels are not known. '
            'Name the sample_scores.csv of a config with label_noise.'
        )
    return table


def with_candidates(table: ScoreTable) -> ScoreTable:
    """Add the column ``candidate``, int (N,), where it is missing or empty.

    By default, a sample is a candidate if its decision is not ``keep``.

    Args:
        table (dict[str, np.ndarray]): Columns of a score table, (N,).
    """
    candidate = (table['decision'] != 'keep').astype(int)
    if 'candidate' in table:
        candidate = np.array(
            [
                int(float(text)) if text else default
                for text, default in zip(table['candidate'], candidate.tolist())
            ]
        )
    return dict(table, candidate=candidate)


def markdown(head: List[str], lines: List[list]) -> str:
    """Format a table in Markdown."""
    text = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    text += ['| ' + ' | '.join(map(str, line)) + ' |' for line in lines]
    return '\n'.join(text)


def percent(value: float) -> str:
    """Format a share in per cent; NaN becomes an empty text."""
    return '' if np.isnan(value) else f'{100 * value:.1f}'


def detection_table(tables: Dict[str, ScoreTable]) -> str:
    """Format how well each cleaning finds wrong labels.

    Args:
        tables (dict): Columns of each score table, by name.
    """
    lines = []
    for name, table in tables.items():
        found = detection(table)
        area = '' if found['auroc'] is None else f'{found["auroc"]:.3f}'
        shares = [f'{found[key]:.3f}' for key in ('precision', 'recall', 'f1')]
        lines.append([name, found['candidates'], area, *shares])
    return markdown(['', 'candidates', 'AUROC', 'precision', 'recall', 'F1'], lines)


def outcome_table(outcomes: Dict[str, dict]) -> str:
    """Format the results of :func:`outcome` as a table in Markdown.

    Args:
        outcomes (dict): Results of :func:`outcome`, by the first cell of their row.
    """
    head = {
        'left': 'samples left',
        'wrong_before': 'wrong before, %',
        'wrong_after': 'wrong after, %',
        'right_kept': 'right ones kept, %',
        'changed_right': 'right among changed, %',
    }
    lines = [
        [name, became['left'], *(percent(became[key]) for key in list(head)[1:])]
        for name, became in outcomes.items()
    ]
    return markdown(['', *head.values()], lines)


def figures(tables: Dict[str, ScoreTable]) -> str:
    """Format all tables about several cleanings, in Markdown.

    Args:
        tables (dict): Columns of each score table, by name.
    """
    parts = [
        detection_table(tables),
        outcome_table({name: outcome(table) for name, table in tables.items()}),
    ]
    for name, table in tables.items():
        # Samples are grouped by their clean label.
        classes = np.unique(table['clean_label']).tolist()
        by_class = {
            str(label): outcome(table, table['clean_label'] == label)
            for label in classes
        }
        parts += [f'{name}, by clean label', outcome_table(by_class)]
    return '\n\n'.join(parts)
