"""Which samples a page shows, and which of them belong together."""

import numpy as np
import pytest

from mmfer.analysis.review.samples import find_groups, most_suspicious


def table_of(score, **columns):
    count = len(score)
    zeros = np.zeros(count, dtype=np.int64)
    return dict(
        sample_id=np.arange(count),
        given_label=zeros,
        suggested_label=zeros,
        noise_score=np.asarray(score, dtype=float),
        decision=np.full(count, 'keep'),
        **{name: np.array(texts, dtype=object) for name, texts in columns.items()},
    )


def partition(number):
    """Sets of rows with the same group."""
    return {
        frozenset(np.flatnonzero(number == n).tolist()) for n in set(number) if n >= 0
    }


def test_no_column():
    assert find_groups(table_of([1, 2])) is None


def test_duplicates_are_linked():
    """Chains and circles are one group; a link to nothing is none."""
    texts = ['', '0', '1', '', '-1', '3', '99', '7', '9', '8', 'a.png', ' 6 ', '٣']
    found = find_groups(table_of(np.zeros(13), duplicate_of=texts, group=['x'] * 13))
    assert found.duplicates
    assert partition(found.number) == {
        frozenset({0, 1, 2}),
        frozenset({3, 5}),
        frozenset({8, 9}),
        frozenset({6, 11}),
    }
    assert (found.number[[4, 7, 10, 12]] == -1).all()


def test_long_chains():
    count = 50_000
    texts = ['', *map(str, range(count - 1))]
    found = find_groups(table_of(np.zeros(count), duplicate_of=texts))
    assert set(found.number.tolist()) == {0}


def test_named_groups():
    texts = ['anna', 'ben', ' anna', '', '', '-1', '-1', 'carl', 'ben']
    found = find_groups(table_of(np.zeros(9), group=texts))
    assert not found.duplicates
    assert partition(found.number) == {frozenset({0, 2}), frozenset({1, 8})}


@pytest.mark.parametrize('seed', range(5))
def test_duplicates_stand_together(seed):
    rng = np.random.default_rng(seed)
    count = 60
    score = rng.integers(0, 20, count) / 19
    texts = [
        str(rng.integers(0, i)) if i and rng.random() < 0.3 else ''
        for i in range(count)
    ]
    table = table_of(score, duplicate_of=texts)
    groups = find_groups(table)
    names = [f'{i}.png' for i in range(count)]
    order = most_suspicious(table, names, count, groups).rows
    assert sorted(order) == list(range(count))
    number = groups.number[order]
    blocks = []
    for row, n in zip(order.tolist(), number.tolist()):
        if n >= 0 and blocks and blocks[-1][0] == n:
            blocks[-1][1].append(row)
        else:
            blocks.append((n, [row]))
    # Each group is one block, and blocks are in the order of their best score.
    together = [n for n, _ in blocks if n >= 0]
    assert len(together) == len(set(together))
    best = [score[rows[0]] for _, rows in blocks]
    assert best == sorted(best, reverse=True)
    for _, rows in blocks:
        assert (np.diff(score[rows]) <= 0).all()
    # Without groups, the order is that of the scores, ties by sample.
    alone = most_suspicious(table, names, 10).rows
    assert alone.tolist() == sorted(range(count), key=lambda i: (-score[i], i))[:10]
    # Groups that are no duplicates do not change it.
    other = groups._replace(duplicates=False)
    assert (most_suspicious(table, names, 10, other).rows == alone).all()
