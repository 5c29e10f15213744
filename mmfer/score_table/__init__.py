"""The sample-score table: its columns, decisions and files.

``sample_scores.csv`` has one row for each training sample. In memory, a table
is a dict of columns, each an array with one value for each sample:

| column | meaning |
|---|---|
| ``sample_id`` | row of the sample in the full list, int64 |
| ``image`` | name of the image, see ``FERDataset.image_name`` |
| ``given_label`` | label before any change, int64 |
| measurements | columns that the method measured, such as ``uncertainty`` |
| ``noise_score`` | larger is more suspicious; comparable within a table |
| ``suggested_label`` | label that the method suggests, int64; -1 for none |
| ``decision`` | one of :data:`DECISIONS` |
| ``clean_label`` | clean label, int64, where it is known |
| ``given_class`` | name of ``given_label``, where class names are known |
| ``suggested_class`` | name of ``suggested_label``; empty for none |

Numbers become text only in :func:`format_table`, with six digits. Metrics such
as an AUROC are computed from the columns in memory, which are not rounded.
"""

from .columns import (
    CLASS_COLUMNS,
    COLUMNS,
    DECISIONS,
    FILE_NAME,
    ScoreTable,
    insert_measurements,
    labels_after_decisions,
    merge_decisions,
    replace_decisions,
    score_columns,
    suggest_labels,
)
from .decisions import read_decisions
from .reading import (
    read_columns,
    read_decision_column,
    read_label_column,
    read_score_table,
)
from .writing import class_text, format_table, write_score_table

__all__ = [
    'CLASS_COLUMNS',
    'COLUMNS',
    'DECISIONS',
    'FILE_NAME',
    'ScoreTable',
    'labels_after_decisions',
    'class_text',
    'format_table',
    'insert_measurements',
    'merge_decisions',
    'read_columns',
    'read_decision_column',
    'read_decisions',
    'read_label_column',
    'read_score_table',
    'replace_decisions',
    'score_columns',
    'suggest_labels',
    'write_score_table',
]
