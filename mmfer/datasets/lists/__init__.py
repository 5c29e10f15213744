"""Lists of image names with labels, or with valence and arousal.

Noisy label lists for RAF-DB are published in several formats. They differ in
their rows, in the first class index, in how they write an image name and in
how a line ends. :func:`read_label_list` reads all of them and reports what it
found:

| `format` | rows | example row | first index |
|---|---|---|---|
| 'rafdb' | train and test | `train_00001.jpg 5` | 1 |
| 'resup' | train and test | `train_00001.jpg 5` | 1 |
| 'jointgan' | train and test | `train_00001.jpg 5` | 1 |
| 'eac' | train | `train_00001.jpg 5` | 1 |
| 'scn' | train | `/any/where/train_00001_aligned.jpg 4` | 0 |
| 'plain' | any | `image label` or `image,label` | 0 or 1 |

Published lists that contain test rows contain *wrong* labels there: ReSup's
test labels are flipped like its train labels, and the joint GAN's are a
model's predictions. Test labels are therefore only taken from RAF-DB's own
list (format 'rafdb'), and train rows are joined by name, never by position.

- `label_list`: reading and writing of label lists.
- `labels`, `formats`, `images`: what a field means, which format a list has,
  which rows name the same image.
- `rafdb`: joining of two RAF-DB lists.
- `indexed`: lists of labels by the number of an image, as for CIFAR.
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
