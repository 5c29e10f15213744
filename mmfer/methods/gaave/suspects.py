"""Samples that base models leave out, because an earlier table suspects them."""

from typing import Optional

import numpy as np

from mmfer.datasets import FERDataset
from mmfer.score_table import read_decisions


def read_suspects(path: Optional[str], dataset: FERDataset) -> Optional[np.ndarray]:
    """Read which samples a score table suspects.

    Args:
        path (str, optional): ``sample_scores.csv`` of this training set, as
            ``mmfer scan`` or a run writes it. None: nothing is suspected.
        dataset (FERDataset): The training set.

    Returns:
        np.ndarray, optional: Ids of the samples that the table does not keep, int64
        (n, ), ascending; None without a table.

    Raises:
        FileNotFoundError, ValueError: See
            :func:`~mmfer.score_table.read_decisions`.
    """
    if path is None:
        return None
    try:
        table = read_decisions(
            path,
            dataset.names_by_id(),
            dataset.given_labels,
            dataset.sample_ids,
            dataset.num_classes,
            dataset.CLASSES,
        )
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'GAAVE: scores={path!r}: {error}') from None
    return np.sort(table['sample_id'][table['decision'] != 'keep'])


def rows_to_learn(
    sample_ids: np.ndarray, labels: np.ndarray, suspects: Optional[np.ndarray]
) -> np.ndarray:
    """Return the rows of the samples on which a base model is trained.

    Suspects are left out. If all samples of a class are suspects, they stay, because
    a model cannot predict a class that it has not seen.

    Args:
        sample_ids (np.ndarray): Samples of a subset, int64 (N, ).
        labels (np.ndarray): Their labels, int64 (N, ).
        suspects (np.ndarray, optional): See :func:`read_suspects`.

    Returns:
        np.ndarray: Ascending rows, int64 (n, ).
    """
    if suspects is None:
        return np.arange(len(labels))
    trusted = ~np.isin(sample_ids, suspects)
    lost = ~np.isin(labels, labels[trusted])
    return np.flatnonzero(trusted | lost)
