"""How well planted wrong labels are found and corrected."""

from typing import Dict, List, Optional

import numpy as np

from mmfer.datasets.decisions import read_score_rows
from mmfer.evaluation.functional import auroc


def detection(table: Dict[str, np.ndarray]) -> dict:
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


def outcome(table: Dict[str, np.ndarray], mine: Optional[np.ndarray] = None) -> dict:
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
    left = decision != 'drop'
    label = np.where(
        decision == 'relabel', table['suggested_label'], table['given_label']
    )

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


def control_rows(rows: List[dict], seed: int) -> List[dict]:
    """Return the rows with as many samples dropped, at random, and none changed.

    Args:
        rows (list[dict]): Rows of a score table.
        seed (int): Seed of the draw.
    """
    decided = np.array([row['decision'] for row in rows])
    return [
        dict(
            row,
            decision=str(decision),
            suggested_label=-1 if decision == 'drop' else row['given_label'],
        )
        for row, decision in zip(rows, random_drops(decided, seed))
    ]


def read_rows(path: str) -> List[dict]:
    """Read a score table that has clean labels."""
    rows = read_score_rows(path)
    if 'clean_label' not in rows[0]:
        raise SystemExit(
            f'{path} has no clean_label: it must be the '
            'sample_scores.csv of a config with label_noise.'
        )
    return rows


def columns(rows: List[dict]) -> Dict[str, np.ndarray]:
    """Return the columns of a score table that are needed, as arrays."""
    table = {
        name: np.array([int(row[name]) for row in rows])
        for name in ('given_label', 'suggested_label', 'clean_label')
    }
    table['decision'] = np.array([row['decision'] for row in rows])
    table['noise_score'] = np.array([float(r['noise_score']) for r in rows])
    table['candidate'] = np.array(
        [int(float(r.get('candidate') or r['decision'] != 'keep')) for r in rows]
    )
    return table


def markdown(head: List[str], lines: List[list]) -> str:
    """Format a table in Markdown."""
    text = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    text += ['| ' + ' | '.join(map(str, line)) + ' |' for line in lines]
    return '\n'.join(text)


def percent(value: float) -> str:
    """Format a share in per cent; empty for NaN."""
    return '' if np.isnan(value) else f'{100 * value:.1f}'


def detection_table(tables: Dict[str, Dict[str, np.ndarray]]) -> str:
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


def figures(tables: Dict[str, Dict[str, np.ndarray]]) -> str:
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
