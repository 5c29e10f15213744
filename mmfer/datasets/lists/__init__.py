"""Lists of image names with labels, or with valence and arousal.

Noisy label lists for RAF-DB are published in several formats. The formats differ
in their rows, in the first class index, in the image names and in the line ends.
:func:`read_label_list` reads all of them, and its result names the format:

| `format` | rows | example row | first index |
|---|---|---|---|
| 'rafdb' | train and test | `train_00001.jpg 5` | 1 |
| 'resup' | train and test | `train_00001.jpg 5` | 1 |
| 'jointgan' | train and test | `train_00001.jpg 5` | 1 |
| 'eac' | train | `train_00001.jpg 5` | 1 |
| 'scn' | train | `/any/where/train_00001_aligned.jpg 4` | 0 |
| 'plain' | any | `image label` or `image,label` | 0 or 1 |

Published noisy lists have *wrong* labels in their test rows, too. ReSup's test
labels are flipped like its train labels, and the joint GAN's test labels are
predictions of a model. Test labels are therefore only read from RAF-DB's own list
(format 'rafdb'). Train rows are joined by image name, never by position.

- `label_list`: reading and writing of label lists.
- `labels`: what the label of a row means.
- `formats`: which published format a list has.
- `images`: which rows name the same image.
- `rafdb`: joining of two RAF-DB lists.
- `indexed`: lists whose rows have the number of an image, as for CIFAR.
- `valence_arousal`: lists of valence and arousal.
"""

from .formats import FORMATS, RAFDB_CLASS_COUNTS, RAFDB_LIST_NAMES
from .indexed import image_number, read_indexed_labels
from .label_list import LabelList, read_label_list, write_label_list
from .rafdb import merge_rafdb_train_labels, rafdb_key, rafdb_split_rows
from .valence_arousal import VAList, read_va_list

__all__ = [
    'FORMATS',
    'LabelList',
    'RAFDB_CLASS_COUNTS',
    'RAFDB_LIST_NAMES',
    'VAList',
    'image_number',
    'merge_rafdb_train_labels',
    'rafdb_key',
    'rafdb_split_rows',
    'read_indexed_labels',
    'read_label_list',
    'read_va_list',
    'write_label_list',
]
