"""cleanlab's tables of label issues, from and to our sample-score tables.

cleanlab has a row for each sample, in the order of the data set (here: by
ascending ``sample_id``)::

    is_label_issue, label_score, given_label, predicted_label

as ``Datalab.get_issues('label')`` returns them; those of
``CleanLearning.get_label_issues`` call the second ``label_quality``.
"""
import csv
import io
from typing import Dict, List, Sequence

import numpy as np

from mmfer.datasets import FERDataset

QUALITY = ('label_score', 'label_quality')


def to_label_issues(rows: Sequence[Dict[str, str]]) -> bytes:
    """A table of cleanlab's kind, as CSV.

    A sample is an issue if its decision is not to keep it; its score is one
    minus ``noise_score``.

    Args:
        rows (Sequence[dict]): Of a ``sample_scores.csv``.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['', 'is_label_issue', QUALITY[0], 'given_label',
                     'predicted_label'])
    ordered = sorted(rows, key=lambda row: int(row['sample_id']))
    for number, row in enumerate(ordered):
        writer.writerow([
            number, row['decision'] != 'keep',
            f'{1 - float(row["noise_score"]):.6g}', row['given_label'],
            row['suggested_label']
        ])
    return text.getvalue().encode()


def from_label_issues(path: str, dataset: FERDataset,
                      decision: str = 'drop') -> List[dict]:
    """Rows of a sample-score table, for ``decisions`` of a data set.

    Args:
        path (str): A table of cleanlab's, as CSV (``issues.to_csv(path)``).
        dataset (FERDataset): What cleanlab judged: as many samples in the
            same order, with the same labels.
        decision (str): What is done with issues: ``'drop'``; or
            ``'relabel'``, to the predicted label. Defaults to ``'drop'``.

    Raises:
        ValueError: It is no such table, or one of other samples.
    """
    with open(path, newline='', encoding='utf-8-sig') as file:
        table = list(csv.DictReader(file))
    columns = table[0] if table else {}
    quality = next((name for name in QUALITY if name in columns), None)
    missing = [c for c in ('is_label_issue', 'given_label', 'predicted_label')
               if c not in columns] + ([] if quality else [QUALITY[0]])
    if missing:
        raise ValueError(
            f'{path} has no column {", ".join(missing)}; it must be a table '
            "of cleanlab's label issues, written by issues.to_csv(path).")
    ids = np.sort(dataset.sample_ids)
    if len(table) != len(ids):
        raise ValueError(
            f'{path} has {len(table)} rows, and the data set {len(ids)} '
            'samples; it must be one of the whole set.')
    names = list(dataset.metainfo['classes'])
    place = {s: i for i, s in enumerate(dataset.sample_ids.tolist())}

    def number(row: int, text: str) -> int:
        if text in names:
            return names.index(text)
        try:
            value = int(float(text))
        except ValueError:
            value = -1
        if not 0 <= value < len(names):
            raise ValueError(
                f'{path}, row {row}: {text!r} is none of the {len(names)} '
                'classes.')
        return value

    rows = []
    for i, (sample_id, row) in enumerate(zip(ids.tolist(), table)):
        given = number(i, row['given_label'])
        own = int(dataset.given_labels[sample_id])
        if given != own:
            raise ValueError(
                f'{path}, row {i}: the given label is {given} there and '
                f'{own} in the data set, so it is a table of other samples, '
                'or in another order.')
        issue = row['is_label_issue'].strip().lower() in ('true', '1')
        predicted = number(i, row['predicted_label'])
        # A relabelling to the same is none.
        change = issue and (decision == 'drop' or predicted != given)
        info = dataset.get_data_info(place[sample_id])
        rows.append(
            dict(
                sample_id=sample_id,
                image=dataset.image_name(info['img_path']),
                given_label=given,
                candidate=int(issue),
                noise_score=f'{1 - float(row[quality]):.6g}',
                suggested_label=predicted,
                decision=decision if change else 'keep',
                clean_label=''))
    return rows
