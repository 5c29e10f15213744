import hashlib

import numpy as np
import pytest

from mmfer.datasets import RAFDB, NoisyCIFAR10
from mmfer.datasets.lists import read_label_list
from mmfer.datasets.noise import labels_sha256
from mmfer.datasets.noisy_list import NoisyList

NAMES = [f'train_{i:05d}.jpg' for i in range(1, 6)]
CLEAN = [0, 1, 2, 3, 6]
NOISY = [0, 1, 5, 3, 2]


@pytest.fixture
def write(tmp_path):

    def write(name, rows):
        path = tmp_path / name
        path.write_text(''.join(f'{row}\n' for row in rows))
        return str(path)

    return write


@pytest.fixture
def clean(write):
    # RAF-DB counts from 1.
    rows = [f'{name} {label + 1}' for name, label in zip(NAMES, CLEAN)]
    return read_label_list(write('list_patition_label.txt', rows), 7)


def samples():
    return [dict(gt_label=label) for label in CLEAN]


def test_by_name_and_by_index_give_the_same_labels(write, clean):
    # By name in reverse order, so that a join by position would show.
    named = write('named.txt', [f'{n} {y}' for n, y in zip(NAMES, NOISY)][::-1])
    indexed = write('indexed.txt', [f'{i} {y}' for i, y in enumerate(NOISY)])
    for noisy, details in (
        (NoisyList.by_name(named, clean), dict(format='plain', label_base=0)),
        (NoisyList.by_index(indexed, 5, 7), {}),
    ):
        assert noisy.labels.tolist() == NOISY
        found = noisy.apply(samples())
        assert [s['gt_label'] for s in found] == NOISY
        assert [s['clean_label'] for s in found] == CLEAN
        with open(noisy.path, 'rb') as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        assert noisy.manifest(np.array(CLEAN), np.array(NOISY)) == dict(
            noisy_list=noisy.path.rsplit('/')[-1],
            **details,
            list_sha256=digest,
            num_samples=5,
            num_changed=2,
            changed_share=0.4,
            noisy_sha256=labels_sha256(NOISY),
            given_sha256=labels_sha256(CLEAN),
        )


def test_partial_list_drops_samples(write, clean):
    named = write('named.txt', [f'{NAMES[i]} {NOISY[i]}' for i in (0, 2, 4)])
    indexed = write('indexed.txt', [f'{i} {NOISY[i]}' for i in (0, 2, 4)])
    for noisy in (
        NoisyList.by_name(named, clean, label_base=0, partial=True),
        NoisyList.by_index(indexed, 5, 7, partial=True),
    ):
        assert noisy.labels.tolist() == [0, -1, 5, -1, 2]
        found = noisy.apply(samples())
        assert [s['gt_label'] for s in found] == [0, 5, 2]
        assert [s['clean_label'] for s in found] == [0, 2, 6]
    with pytest.raises(ValueError, match='no label for 2 of 5'):
        NoisyList.by_name(named, clean, label_base=0)
    with pytest.raises(ValueError, match='3 labels for 5 images'):
        NoisyList.by_index(indexed, 5, 7)


def test_rows_of_a_subset(write):
    noisy = NoisyList.by_index(write('noisy.txt', NOISY), 5, 7)
    rows = np.array([4, 2])
    found = noisy.apply([dict(gt_label=CLEAN[row]) for row in rows], rows)
    assert [s['gt_label'] for s in found] == [2, 5]
    assert [s['clean_label'] for s in found] == [6, 2]
    with pytest.raises(ValueError, match='zip'):
        noisy.apply(samples(), rows)


@pytest.mark.parametrize('kind', [RAFDB, NoisyCIFAR10])
def test_where_a_noisy_list_may_be_used(kind, monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    options = dict(noisy_list='~/noisy.txt', lazy_init=True)
    dataset = kind(**options)
    assert dataset.noisy_list == '/home/someone/noisy.txt'
    assert not dataset.partial_list and not dataset.test_mode
    name = kind.__name__
    for evaluation in (dict(split='test'), dict(test_mode=True)):
        with pytest.raises(ValueError, match=f'{name}: noisy_list=.*evaluation'):
            kind(**options, **evaluation)
    noise = dict(type='SymmetricNoise', rate=0.3)
    with pytest.raises(ValueError, match=f'{name}: noisy_list and label_noise'):
        kind(**options, label_noise=noise)
