"""Texts in one array: round trips, parts, and their size."""

import pickle
import random
import sys

import numpy as np
import pytest

from mmfer.utils import string_table
from mmfer.utils.string_table import StringTable, all_different

TEXTS = [
    ['a/b/ä', 'a/b/', 'a/b/\udc80x', 'a/b/日本', 'a/b/ä'],
    ['', '', 'q'],
    ['same', 'same'],
    ['é', 'è'],  # their UTF-8 has a first byte in common, which is no text
    ['x'],
    [],
]


@pytest.mark.parametrize('texts', TEXTS)
def test_texts_come_back(texts, monkeypatch):
    monkeypatch.setattr(string_table, '_CHUNK', 2)
    table = StringTable.from_texts(texts)
    count = len(texts)
    assert len(table) == count
    assert table.tolist() == list(table) == texts
    assert [table[i] for i in range(-count, count)] == texts * 2
    assert list(table[1:3]) == texts[1:3] and list(table[::-1]) == texts[::-1]
    assert table.take([]).tolist() == []
    if texts:
        chosen = np.random.default_rng(0).integers(0, count, 9)
        assert table.take(chosen).tolist() == [texts[i] for i in chosen]
    copy = pickle.loads(pickle.dumps(table))
    assert copy == table and copy != StringTable.from_texts([*texts, 'more'])


@pytest.mark.parametrize('index', [3, -4])
def test_index_out_of_range(index):
    with pytest.raises(IndexError):
        StringTable.from_texts(['a', 'b', 'c'])[index]


def test_a_path_takes_its_own_bytes():
    paths = [f'/data/affectnet/images/{i:05d}.jpg' for i in range(1000)]
    table = StringTable.from_texts(paths)
    # Five digits, four of which differ for all, the suffix, and the offset.
    assert table.nbytes <= 1000 * (5 + 4 + 8)
    assert table.nbytes * 5 < sum(map(sys.getsizeof, paths))
    # The whole table in its own order is not copied.
    assert table.take(np.arange(1000)) is table


def test_all_different():
    names = [f'{i}.jpg' for i in range(500)]
    random.Random(0).shuffle(names)
    assert all_different(names, str)
    assert not all_different([*names, '7.jpg'], str)
    assert all_different([], str)
    # The keys count, not the texts.
    assert not all_different(['a', './a'], lambda text: text.removeprefix('./'))


def test_equal_hashes_of_different_texts():
    class Collision(str):
        def __hash__(self):
            return 1

    assert all_different(['a', 'b'], Collision)
    assert not all_different(['a', 'b', 'a'], Collision)
