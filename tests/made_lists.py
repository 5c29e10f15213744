"""RAF-DB label lists for tests, in the forms in which they are published."""

import numpy as np

from mmfer.datasets.lists import RAFDB_CLASS_COUNTS

TRAIN = [f'train_{i:05d}.jpg' for i in range(1, 8)]

TEST = [f'test_{i:04d}.jpg' for i in range(1, 4)]

# Labels are 1-based, as in RAF-DB.
CLEAN = [5, 5, 4, 1, 7, 2, 3]

NOISY = [5, 1, 4, 1, 7, 6, 3]

OWN = 'list_patition_label.txt'


def rows(names, labels, end='\n', final=True):
    text = end.join(f'{n} {y}' for n, y in zip(names, labels, strict=True))
    return text + end * final


def complete_rafdb(flip=0.0, splits=('train', 'test'), seed=0):
    """Return rows with the size and class counts of RAF-DB, 1-based."""
    rng = np.random.default_rng(seed)
    names, labels = [], []
    for split, digits in (('train', 5), ('test', 4)):
        own = rng.permutation(np.repeat(np.arange(7), RAFDB_CLASS_COUNTS[split]))
        changed = rng.random(own.size) < flip * (split in splits)
        own = np.where(changed, (own + rng.integers(1, 7, own.size)) % 7, own)
        names += [f'{split}_{i:0{digits}d}.jpg' for i in range(1, own.size + 1)]
        labels += (own + 1).tolist()
    return rows(names, labels)
