"""Counter-based random numbers: known answers, independence, distribution."""

import time

import numpy as np
import pytest
import torch

from mmfer.utils import counter_random
from mmfer.utils.counter_random import (
    normals,
    philox,
    philox_of_tensors,
    random_bytes,
    random_words,
    uniforms,
)

# Known answers of Random123 1.14.0, file tests/kat_vectors: counter, key, words.
KNOWN_ANSWERS = [
    ('00000000 ' * 4, '00000000 ' * 2, '6627e8d5 e169c58d bc57ac4c 9b00dbd8'),
    ('ffffffff ' * 4, 'ffffffff ' * 2, '408f276d 41c83b0e a20bc7c6 6d5451fd'),
    (
        '243f6a88 85a308d3 13198a2e 03707344',
        'a4093822 299f31d0',
        'd16cfe09 94fdcceb 5001e420 24126ea1',
    ),
]
PIXEL_STREAM = 65535 << 16


def words_of(text):
    return [int(word, 16) for word in text.split()]


def philox_by_hand(counter, key):
    """Philox4x32-10 as in the paper, with integers of Python."""
    (c0, c1, c2, c3), (k0, k1) = map(int, counter), map(int, key)
    for _ in range(10):
        first, second = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (
            (second >> 32) ^ c1 ^ k0,
            second % 2**32,
            (first >> 32) ^ c3 ^ k1,
            first % 2**32,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def unsigned(bits):
    return bits.numpy().view(np.uint32).astype(np.uint64)


@pytest.mark.parametrize('counter, key, answer', KNOWN_ANSWERS)
def test_known_answers_in_numpy_and_torch(counter, key, answer):
    counter, key, answer = map(words_of, (counter, key, answer))
    assert philox_by_hand(counter, key) == answer
    in_numpy = philox(np.array(counter, np.uint64)[:, None], tuple(key))
    assert in_numpy[:, 0].tolist() == answer
    steps = [[(k + r * s) % 2**32] for k, s in zip(key, STEPS) for r in range(10)]
    round_keys = torch.tensor(steps).view(2, 10, 1).to(torch.int32)
    in_torch = philox_of_tensors(torch.tensor(counter).view(4, 1), round_keys)
    assert unsigned(torch.cat(in_torch)).tolist() == answer


STEPS = 0x9E3779B9, 0xBB67AE85


def test_words_of_torch_are_those_of_numpy():
    keys = np.random.default_rng(0).integers(0, 2**32, (3, 2))
    keys[0] = 2**32 - 1
    words = unsigned(random_words(torch.tensor(keys, dtype=torch.float64), 70))
    for sample, key in enumerate(keys):
        counters = np.zeros((4, 70), np.uint64)
        counters[0], counters[3] = np.arange(70), PIXEL_STREAM
        assert np.array_equal(words[sample], philox(counters, tuple(key.tolist())))


def test_layout_of_key_and_counter():
    """Number 4 b + j is word j of the counter (id, id, epoch, stream and b)."""
    seed, epoch, sample, stream = 0xFEDCBA9876543210, 0x89ABCDEF, 0x12345_6789A, 0xABC
    numbers = uniforms(seed, epoch, np.array([7, sample]), stream, 11)
    for index, number in enumerate(numbers[1]):
        counter = [sample % 2**32, sample >> 32, epoch, (stream << 16) + index // 4]
        word = philox_by_hand(counter, [seed % 2**32, seed >> 32])[index % 4]
        assert number * 2**32 == word


def test_no_two_draws_share_a_counter(monkeypatch):
    """Each argument is at its limits, where neighbours could run into it."""
    seen = []
    monkeypatch.setattr(
        counter_random,
        'philox',
        lambda counters, key: seen.append(counters) or counters,
    )
    ids = np.array([0, 1, 2**32 - 1, 2**32, 2**40, 2**63 - 1])
    for epoch in (0, 1, 2**20, 2**32 - 1):
        for stream in (0, 1, 2, 65534):
            uniforms(5, epoch, ids, stream, 12)
    uniforms(5, 3, ids[:1], 1, 4 * 65536)
    counters = np.concatenate([c.reshape(4, -1) for c in seen], 1)
    assert counters.max() < 2**32
    assert len(np.unique(counters, axis=1).T) == len(counters.T)
    assert (counters[3] < PIXEL_STREAM).all()


def test_a_number_depends_on_its_arguments_alone():
    ids = np.random.default_rng(0).permutation(1000)
    numbers = uniforms(3, 4, ids, 5, 21)
    assert numbers.dtype == np.float64 and numbers.shape == (1000, 21)
    order = np.argsort(ids)
    assert np.array_equal(uniforms(3, 4, ids[order], 5, 21), numbers[order])
    small = np.array([200, 3], np.uint8)
    assert np.array_equal(uniforms(3, 4, small, 5, 21), numbers[order][small])
    assert np.array_equal(uniforms(3, 4, ids[40:41], 5, 3), numbers[40:41, :3])
    assert uniforms(3, 4, ids[:0], 5, 3).shape == (0, 3)
    assert uniforms(3, 4, ids, 5, 0).shape == (1000, 0)
    for other in [(2, 4, ids, 5), (3, 5, ids, 5), (3, 4, ids, 6), (3, 4, ids + 1, 5)]:
        assert np.mean(uniforms(*other, 21) == numbers) < 1e-3


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(seed=-1), 'seed'),
        (dict(seed=2**64), 'seed'),
        (dict(epoch=2**32), 'epoch'),
        (dict(stream=65535), 'stream'),
        (dict(count=4 * 65536 + 1), 'count'),
        (dict(sample_ids=np.array([3, -1])), 'sample_ids'),
        (dict(sample_ids=np.array([0.5])), 'sample_ids'),
        (dict(sample_ids=np.array([[1]])), 'sample_ids'),
    ],
)
def test_arguments_outside_of_the_counter_are_refused(change, message):
    arguments = dict(seed=1, epoch=1, sample_ids=np.array([1]), stream=1, count=1)
    with pytest.raises(ValueError, match=f'uniforms: {message} must'):
        uniforms(**{**arguments, **change})


@pytest.mark.parametrize('axis', ['ids', 'epochs', 'streams', 'numbers', 'seeds'])
def test_uniform_and_uncorrelated_along_each_axis(axis):
    """4,000 neighbours: 20 equal bins, chi-square below its quantile of 1e-5."""
    n = 4000
    if axis == 'ids':
        numbers = uniforms(1, 0, np.arange(n), 0, 1)[:, 0]
    elif axis == 'numbers':
        numbers = uniforms(1, 0, np.array([9]), 0, n)[0]
    else:
        one = np.array([9])
        numbers = np.array(
            [
                uniforms(
                    i if axis == 'seeds' else 1,
                    i if axis == 'epochs' else 0,
                    one,
                    i if axis == 'streams' else 0,
                    1,
                )[0, 0]
                for i in range(n)
            ]
        )
    counts = np.bincount((numbers * 20).astype(int), minlength=20)
    assert len(counts) == 20
    assert np.sum((counts - n / 20) ** 2) / (n / 20) < 56.0
    for lag in (1, 2, 4):
        correlation = np.corrcoef(numbers[lag:], numbers[:-lag])[0, 1]
        assert abs(correlation) < 4.5 / n**0.5


def test_normals_have_the_moments_of_their_docstring():
    keys = torch.tensor([[1, 2], [1, 3], [2, 2]])
    values = normals(keys, 200_001).double()
    assert values.shape == (3, 200_001)
    n = values.numel()
    assert abs(values.mean()) < 4.5 / n**0.5
    assert abs(values.var() - 1) < 4.5 * (2 / n) ** 0.5
    table = torch.tensor(counter_random._quantiles()).double()
    assert abs(table.mean()) < 1e-9 and abs(table.square().mean() - 1) < 1e-7
    assert abs(table.pow(4).mean() - 2.9998) < 1e-4
    assert 4.38 < table.max() < 4.40 and table.max() == -table.min()
    # A value lies within its interval, so the distribution function is exact.
    cdf = torch.special.ndtr(table) * 2**16
    inside = (cdf - torch.arange(2**16) - 0.5).abs()
    assert inside.max() < 0.51 and inside[500:-500].max() < 0.02
    assert abs(torch.corrcoef(values)[0, 1:]).max() < 4.5 / 200_001**0.5


def test_normals_and_bytes_depend_on_their_key_alone():
    keys = torch.tensor([[1, 2], [2**32 - 1, 0], [5, 5]]).double()
    for draw in (normals, random_bytes):
        together = draw(keys, 37)
        assert torch.equal(draw(keys[[2, 0]], 37), together[[2, 0]])
        assert torch.equal(draw(keys[1:2].long(), 37), together[1:2])
        assert draw(keys[:0], 37).shape == (0, 37)
    counts = torch.bincount(random_bytes(keys[:1], 256 * 400)[0].int(), minlength=256)
    assert ((counts - 400.0) ** 2 / 400).sum() < 360


def test_speed_allows_a_call_per_batch():
    """20 numbers for 128 samples in far less than half a millisecond, by calls."""
    ids = np.arange(128)
    uniforms(1, 2, ids, 3, 20)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        uniforms(1, 2, ids, 3, 20)
        times.append(time.perf_counter() - start)
    assert min(times) < 5e-4
