"""Decisions on labels, read back from a sample-score table."""
import csv
import os.path as osp
from typing import Dict, List

import numpy as np

DECISIONS = ('keep', 'relabel', 'drop')
COLUMNS = ('sample_id', 'image', 'given_label', 'noise_score',
           'suggested_label', 'decision')


def read_decisions(path: str, images: List[str], given_labels: np.ndarray,
                   sample_ids: np.ndarray,
                   num_classes: int) -> Dict[str, np.ndarray]:
    """Read a ``sample_scores.csv`` that was made of these samples.

    Args:
        path (str): The table.
        images (list[str]): Name of every sample, by ``sample_id``.
        given_labels (np.ndarray): Their labels as given, int64 (N, ).
        sample_ids (np.ndarray): Those that the table must have; unreadable
            images are not in it.
        num_classes (int): Suggested labels lie below it.

    Returns:
        dict[str, np.ndarray]: See :meth:`FERDataset.judge`; by ascending
        ``sample_id``.

    Raises:
        FileNotFoundError: There is no table.
        ValueError: It is no such table, or one of other samples or labels.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'decisions: {path} is not there. It is the sample_scores.csv in '
            'the work dir of a training, or of tools/clean_labels.py.')
    # Spreadsheets begin with a byte order mark.
    with open(path, newline='', encoding='utf-8-sig') as file:
        rows = list(csv.DictReader(file))
    missing = [c for c in COLUMNS if not rows or c not in rows[0]]
    if missing:
        raise ValueError(
            f'decisions: {path} has no column {", ".join(missing)}; it must '
            'be a sample_scores.csv.')

    def refuse(row, reason):
        return ValueError(
            f'decisions: {path}, sample {row["sample_id"]}: {reason}')

    ids = np.zeros(len(rows), dtype=np.int64)
    suggested = np.zeros(len(rows), dtype=np.int64)
    scores = np.zeros(len(rows))
    for i, row in enumerate(rows):
        try:
            ids[i] = int(row['sample_id'])
            suggested[i] = int(row['suggested_label'])
            scores[i] = float(row['noise_score'])
            given = int(row['given_label'])
        except (TypeError, ValueError) as error:
            raise refuse(row, f'not a whole row ({error})') from None
        if not 0 <= ids[i] < len(images) or row['image'] != images[ids[i]]:
            raise refuse(
                row, f'the table calls it {row["image"]!r}, and no sample of '
                'the data set has that number and name. It was made of '
                'another set.')
        if given != given_labels[ids[i]]:
            raise refuse(
                row, f'its given label is {given} in the table and '
                f'{given_labels[ids[i]]} in the data set. The table was made '
                'of other labels: with another label_noise, or another list.')
        if row['decision'] not in DECISIONS:
            raise refuse(
                row, f'decision {row["decision"]!r} is none of '
                f'{", ".join(DECISIONS)}.')
        if row['decision'] == 'relabel' and not \
                0 <= suggested[i] < num_classes:
            raise refuse(
                row, f'suggested_label {suggested[i]} is outside '
                f'[0, {num_classes}).')
    if len(set(ids.tolist())) != len(ids):
        raise ValueError(f'decisions: {path} has samples twice.')
    lacking = np.setdiff1d(sample_ids, ids)
    if len(lacking):
        raise ValueError(
            f'decisions: {path} lacks {len(lacking)} of {len(sample_ids)} '
            f'samples, e.g. {images[lacking[0]]}. It was made of another '
            'set, or a part of this one.')
    if all(row['decision'] == 'drop' for row in rows):
        raise ValueError(f'decisions: {path} drops every sample.')
    order = ids.argsort()
    return dict(
        sample_id=ids[order],
        given_label=given_labels[ids[order]],
        noise_score=scores[order],
        suggested_label=suggested[order],
        decision=np.array([rows[i]['decision'] for i in order]))
