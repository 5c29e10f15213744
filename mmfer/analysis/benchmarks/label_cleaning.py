"""How well planted wrong labels are found and corrected."""

from typing import Dict, List, Optional

import numpy as np

from mmfer.evaluation.functional import auroc
from mmfer.score_table import (
    ScoreTable,
    apply_decisions,
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
    """Count what a cleaning made of the labels, as shares in [0, 1].

    Args:
        table (dict): Columns as arrays.
        mine (np.ndarray, optional): Samples to count, bool (N, ). Defaults to all.

    Returns:
        dict: ``samples``, ``left`` (not dropped), ``wrong_before``,
        ``wrong_after`` (of those left), ``right_kept`` (right labels that
        stayed as they were), ``changed_right`` (changed labels that now are
        right); NaN where there are none.
    """
    if mine is not None:
        table = {k: v[mine] for k, v in table.items()}
    decision, clean = table['decision'], table['clean_label']
    wrong = table['given_label'] != clean
    left, label = apply_decisions(table)

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
    """Make decisions that drop as many samples as these, at random."""
    drawn = np.random.default_rng(seed).permutation(len(decision))
    control = np.full(len(decision), 'keep', dtype='<U7')
    control[drawn[: (decision == 'drop').sum()]] = 'drop'
    return control


def control_table(table: ScoreTable, seed: int) -> ScoreTable:
    """Return a table with as many samples dropped, at random, and none changed.

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
        path (str): The table.

    Raises:
        SystemExit: The table has no clean labels.
    """
    table = read_score_table(path)
    if 'clean_label' not in table:
        raise SystemExit(
            f'{path} has no clean_label: it must be the '
            'sample_scores.csv of a config with label_noise.'
        )
    return table


def with_candidates(table: ScoreTable) -> ScoreTable:
    """Add ``candidate``, int (N,): by default every label that is not kept.

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
    """Format a share in per cent; empty for NaN."""
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
    """Format what cleanings made of the labels.

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
    """Format all tables about some cleanings, in Markdown.

    Args:
        tables (dict): Columns of each score table, by name.
    """
    parts = [
        detection_table(tables),
        outcome_table({name: outcome(table) for name, table in tables.items()}),
    ]
    for name, table in tables.items():
        # A class has the samples that really belong to it.
        classes = np.unique(table['clean_label']).tolist()
        by_class = {
            str(label): outcome(table, table['clean_label'] == label)
            for label in classes
        }
        parts += [f'{name}, by clean label', outcome_table(by_class)]
    return '\n\n'.join(parts)
