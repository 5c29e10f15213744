"""Columns of a score table, and functions that make or change them."""

from typing import Dict, Mapping, Sequence, Tuple

import numpy as np

DECISIONS = ('keep', 'relabel', 'drop')
"""Decisions on a sample: keep it, give it the suggested label, or drop it."""

COLUMNS = (
    'sample_id',
    'image',
    'given_label',
    'noise_score',
    'suggested_label',
    'decision',
)
"""Columns that every table has."""

FILE_NAME = 'sample_scores.csv'
"""Name of the table in a work dir."""

CLASS_COLUMNS = dict(given_class='given_label', suggested_class='suggested_label')
"""Columns of class names, each with the column of class numbers beside it."""

ScoreTable = Dict[str, np.ndarray]


def score_columns(
    sample_ids: np.ndarray,
    images: Sequence[str],
    labels: np.ndarray,
    scores: np.ndarray,
    uncertainty: np.ndarray,
    threshold: float,
) -> ScoreTable:
    """Make a table from the predictions of a model, without clean labels.

    ``noise_score`` is one minus the probability of the given label. The
    decision is ``relabel`` where the largest probability exceeds that of the
    given label by more than ``threshold``.

    Args:
        sample_ids (np.ndarray): int64 (N,).
        images (Sequence[str]): (N,) names.
        labels (np.ndarray): Given labels, int64 (N,).
        scores (np.ndarray): Probabilities (N, C).
        uncertainty (np.ndarray): Uncertainty of each prediction, (N,).
        threshold (float): In [0, 1].

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the order of the file.
    """
    given = scores[np.arange(len(labels)), labels]
    best = scores.max(axis=1)
    return dict(
        sample_id=np.asarray(sample_ids),
        image=np.array(images, dtype=object),
        given_label=np.asarray(labels),
        uncertainty=np.asarray(uncertainty),
        confidence=best,
        noise_score=1 - given,
        suggested_label=scores.argmax(axis=1),
        decision=np.where(best - given > threshold, 'relabel', 'keep'),
    )


def insert_measurements(
    table: ScoreTable, measured: Mapping[str, np.ndarray]
) -> ScoreTable:
    """Replace ``noise_score`` by all columns that a method measured.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        measured (Mapping[str, np.ndarray]): Columns (N,) of numbers, among
            them a ``noise_score``.

    Returns:
        dict[str, np.ndarray]: Columns (N,), the measured ones in the place of
        ``noise_score``.
    """
    result: ScoreTable = {}
    for name, column in table.items():
        if name == 'noise_score':
            result.update({key: np.asarray(value) for key, value in measured.items()})
        else:
            result[name] = column
    return result


def suggest_labels(table: ScoreTable, suggested_label: np.ndarray) -> ScoreTable:
    """Replace the suggested labels by those of a method.

    The decision is ``relabel`` where a suggested label is not the given one. So a
    method suggests the given label where it is not sure.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        suggested_label (np.ndarray): int64 (N,).

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the same order.
    """
    decision = np.where(suggested_label != table['given_label'], 'relabel', 'keep')
    return replace_decisions(table, decision, suggested_label)


def merge_decisions(
    table: ScoreTable, label_decisions: Mapping[str, np.ndarray]
) -> ScoreTable:
    """Replace the decisions of a table by those of an earlier cleaning.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        label_decisions (Mapping[str, np.ndarray]): Columns of at least the
            same samples, in any order; see
            :meth:`~mmfer.datasets.FERDataset.apply_decisions`.

    Returns:
        dict[str, np.ndarray]: Columns (N,), with ``suggested_label``,
        ``decision``, ``noise_score`` and measurements of the cleaning.
    """
    known = label_decisions['sample_id']
    by_id = np.argsort(known, kind='stable')
    order = by_id[np.searchsorted(known, table['sample_id'], sorter=by_id)]
    taken = ('sample_id', 'given_label', 'suggested_label', 'decision')
    result = insert_measurements(
        table, {k: v[order] for k, v in label_decisions.items() if k not in taken}
    )
    for name in ('suggested_label', 'decision'):
        result[name] = label_decisions[name][order]
    return result


def replace_decisions(
    table: ScoreTable, decision: np.ndarray, suggested_label: np.ndarray
) -> ScoreTable:
    """Replace the decisions and the suggested labels of a table.

    If the table has class names, the suggested names change with the labels.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
        decision (np.ndarray): (N,) of :data:`DECISIONS`.
        suggested_label (np.ndarray): int64 (N,); -1 for none.

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the same order.
    """
    result = dict(table, decision=decision, suggested_label=suggested_label)
    if 'suggested_class' in table:
        names = {
            label: name
            for column, numbers in CLASS_COLUMNS.items()
            if column in table
            for label, name in zip(table[numbers].tolist(), table[column].tolist())
        }
        result['suggested_class'] = np.array(
            [names.get(label, '') for label in suggested_label.tolist()], dtype=object
        )
    return result


def labels_after_decisions(
    table: Mapping[str, np.ndarray],
) -> Tuple[np.ndarray, np.ndarray]:
    """Return which samples the decisions keep, and the label of each sample.

    Args:
        table (Mapping[str, np.ndarray]): Columns ``given_label``,
            ``suggested_label`` and ``decision``, each (N,).

    Returns:
        tuple[np.ndarray, np.ndarray]: Whether a sample is kept, bool (N,), and
        its label afterwards, int64 (N,). The label of a dropped sample is the
        given one.
    """
    labels = np.where(
        table['decision'] == 'relabel', table['suggested_label'], table['given_label']
    )
    return table['decision'] != 'drop', labels
