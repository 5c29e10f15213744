"""Random numbers that are a function of seed, epoch, sample and stream.

A counter-based generator has no state. Its numbers do not depend on the batch
size, the order of the samples, the worker or the device that asks for them.
Here it is Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", SC 2011. It turns a counter of four 32-bit words and a key of two into
four random words.

=======  =============================  ======================
word     :func:`uniforms`               :func:`random_words`
=======  =============================  ======================
key 0    seed, low 32 bits              first key of a sample
key 1    seed, high 32 bits             second key of a sample
count 0  sample id, low 32 bits         block
count 1  sample id, high 32 bits        0
count 2  epoch                          0
count 3  stream * 2**16 + block         65,535 * 2**16
=======  =============================  ======================

Each argument has bits of its own in the counter, and a block yields four
numbers. So two numbers of one seed share a counter and a word only if epoch,
sample id, stream and index are all equal. No stream has the number 65,535, so
:func:`uniforms` never meets a counter of :func:`random_words`.
"""

from functools import lru_cache
from statistics import NormalDist
from typing import Dict, List, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from .checks import whole_number

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF
WORDS_PER_BLOCK = 4
MAX_STREAMS = 65535
MAX_BLOCKS = 65536


def uniforms(
    seed: int, epoch: int, sample_ids: np.ndarray, stream: int, count: int
) -> np.ndarray:
    """Draw uniform numbers in [0, 1) for each sample of a batch.

    A number has 32 bits: it is a multiple of 2**-32. So ``u * 2**32`` is an
    integer without rounding, which :func:`normals` takes as a key.

    Args:
        seed (int): Seed of the run, in [0, 2**64).
        epoch (int): Epoch or another number in [0, 2**32), such as a step.
        sample_ids (np.ndarray): Integers in [0, 2**63), shape (B,).
        stream (int): Which of the streams of a sample, in [0, 65,535).
        count (int): Numbers per sample, up to 262,144.

    Returns:
        np.ndarray: Shape (B, count), float64. The first numbers are the same for
        a larger ``count``.
    """
    owner = 'uniforms'
    whole_number(owner, 'seed', seed, 0, 2**64 - 1)
    whole_number(owner, 'epoch', epoch, 0, 2**32 - 1)
    whole_number(owner, 'stream', stream, 0, MAX_STREAMS - 1)
    whole_number(owner, 'count', count, 0, MAX_BLOCKS * WORDS_PER_BLOCK)
    ids = np.asarray(sample_ids)
    if ids.ndim != 1 or (ids.size and (ids.dtype.kind not in 'iu' or ids.min() < 0)):
        raise ValueError(
            f'{owner}: sample_ids must be a row of integers of at least 0, got shape '
            f'{ids.shape} and type {ids.dtype}. Pass the sample_id of each sample.'
        )
    blocks = -(-count // WORDS_PER_BLOCK)
    counters = np.empty((WORDS_PER_BLOCK, len(ids), blocks), np.uint64)
    ids = ids.astype(np.uint64)[:, None]
    counters[0] = ids & np.uint64(WORD)
    counters[1] = ids >> np.uint64(32)
    counters[2] = epoch
    counters[3] = np.arange(blocks, dtype=np.uint64) + np.uint64(stream << 16)
    words = philox(counters, (int(seed) & WORD, int(seed) >> 32))
    numbers = np.empty((len(ids), blocks, WORDS_PER_BLOCK))
    np.multiply(words.transpose(1, 2, 0), 2.0**-32, out=numbers)
    return numbers.reshape(len(ids), blocks * WORDS_PER_BLOCK)[:, :count]


def philox(counters: np.ndarray, key: Tuple[int, int]) -> np.ndarray:
    """Return the four random words of each counter: Philox4x32-10 in numpy.

    Args:
        counters (np.ndarray): Words below 2**32, shape (4, ...), uint64.
        key (tuple[int, int]): Two words below 2**32.

    Returns:
        np.ndarray: Words below 2**32, shape (4, ...), uint64.
    """
    # The two halves of a round are computed together: row 0 has the words 0 and
    # 1 of the counter, row 1 the words 2 and 3.
    pairs = counters.reshape(2, 2, -1)
    multiplied, added = pairs[:, 0], pairs[:, 1]
    multipliers = np.array(MULTIPLIERS, np.uint64)[:, None]
    steps = np.arange(ROUNDS, dtype=np.uint64)[:, None, None]
    steps = steps * np.array(KEY_STEPS, np.uint64)[:, None]
    round_keys = (steps + np.array(key, np.uint64)[:, None]) & np.uint64(WORD)
    for round_key in round_keys:
        product = multiplied * multipliers
        multiplied = (product >> np.uint64(32))[::-1] ^ added
        multiplied ^= round_key
        product &= np.uint64(WORD)
        added = product[::-1]
    return np.stack([multiplied, added], 1).reshape(counters.shape)


def random_words(keys: Tensor, blocks: int) -> Tensor:
    """Draw random 32-bit words for each key, on the device of the keys.

    The words are those of :func:`philox`, bit by bit, on any little-endian
    device. Nothing is read on the host.

    Args:
        keys (Tensor): Two words below 2**32 for each sample, shape (B, 2), of any
            type that holds them, such as float64.
        blocks (int): Blocks of four words per sample, up to 2**32.

    Returns:
        Tensor: Bit patterns, shape (B, 4, blocks), int32. Word j of block i is at
        (j, i).
    """
    device = keys.device
    if not len(keys) or not blocks:
        return keys.new_zeros((len(keys), WORDS_PER_BLOCK, blocks), dtype=torch.int32)
    steps = torch.arange(ROUNDS, device=device)[:, None]
    round_keys = [
        _low((key + steps * step)[..., None])
        for key, step in zip(keys.long().unbind(1), KEY_STEPS)
    ]
    block = torch.arange(blocks, device=device).expand(len(keys), blocks)
    high_word = torch.full((1,), MAX_STREAMS << 16, device=device)
    words = philox_of_tensors(
        (block, torch.zeros_like(high_word), torch.zeros_like(high_word), high_word),
        round_keys,
    )
    return torch.stack(words, 1)


def philox_of_tensors(
    counters: Sequence[Tensor], round_keys: Sequence[Tensor]
) -> List[Tensor]:
    """Return the four random words of each counter: Philox4x32-10 in torch.

    torch multiplies no unsigned numbers. A product of two words wraps around in
    int64, which keeps its bits. Its halves are read as views, without a kernel.

    Args:
        counters (Sequence[Tensor]): Four words below 2**32, int64, with shapes that
            can be broadcast.
        round_keys (Sequence[Tensor]): For each of the two words of the key, the bits
            of the keys of all rounds, int32, shape (10, ...).

    Returns:
        list[Tensor]: Bit patterns of the four words, int32.
    """
    word_0, word_1, word_2, word_3 = counters
    word_1, word_3 = _low(word_1), _low(word_3)
    for key_0, key_1 in zip(*round_keys):
        first, second = word_0 * MULTIPLIERS[0], word_2 * MULTIPLIERS[1]
        bits_0 = _high(second) ^ (key_0 ^ word_1)
        bits_2 = _high(first) ^ (key_1 ^ word_3)
        word_1, word_3 = _low(second), _low(first)
        word_0 = bits_0.view(torch.uint32).long()
        word_2 = bits_2.view(torch.uint32).long()
    return [bits_0, word_1, bits_2, word_3]


def normals(keys: Tensor, count: int) -> Tensor:
    """Draw standard normal numbers for each key, on the device of the keys.

    A number comes from 16 random bits by the quantile function, so it is the same
    on every device. There are 65,536 values: the mean of each of as many equally
    probable intervals. Mean and variance are those of the normal distribution.
    The largest value is 4.39, and the kurtosis is 2.9998 instead of 3. The
    numbers suit noise of pixels, not probabilities of rare events.

    Args:
        keys (Tensor): Two words below 2**32 for each sample, shape (B, 2).
        count (int): Numbers per sample.

    Returns:
        Tensor: Shape (B, count), float32. Numbers of another ``count`` differ.
    """
    words = random_words(keys, -(-count // 8))
    index = words.flatten(1).view(torch.uint16)[:, :count].int()
    values = _quantiles_on(keys.device).index_select(0, index.flatten())
    return values.view(len(keys), count)


def random_bytes(keys: Tensor, count: int) -> Tensor:
    """Draw uniform bytes for each key, on the device of the keys.

    Args:
        keys (Tensor): Two words below 2**32 for each sample, shape (B, 2).
        count (int): Bytes per sample.

    Returns:
        Tensor: Shape (B, count), uint8. Bytes of another ``count`` differ.
    """
    words = random_words(keys, -(-count // 16))
    return words.flatten(1).view(torch.uint8)[:, :count]


def _low(words: Tensor) -> Tensor:
    """Return the low 32 bits of int64, shape (..., n), as a view in int32."""
    return words.contiguous().view(torch.int32)[..., ::2]


def _high(words: Tensor) -> Tensor:
    """Return the high 32 bits of int64, shape (..., n), as a view in int32."""
    return words.contiguous().view(torch.int32)[..., 1::2]


@lru_cache(maxsize=1)
def _quantiles() -> np.ndarray:
    """Mean of a standard normal in 65,536 intervals of equal probability.

    The values are scaled to a variance of 1, shape (65536,), float32.
    """
    count = 1 << 15
    inverse = NormalDist().inv_cdf
    edges = np.array([inverse(0.5 + i / 2**16) for i in range(count)])
    density = np.exp(-(edges**2) / 2) / (2 * np.pi) ** 0.5
    # The last interval ends at infinity, where the density is zero.
    means = (density - np.append(density[1:], 0)) * 2**16
    means /= np.sqrt(np.mean(means**2))
    return np.concatenate([-means[::-1], means]).astype(np.float32)


_quantiles_by_device: Dict[torch.device, Tensor] = {}


def _quantiles_on(device: torch.device) -> Tensor:
    """Return :func:`_quantiles` on a device; it is copied there once."""
    if device not in _quantiles_by_device:
        values = torch.tensor(_quantiles(), device=device)
        if type(values) is not Tensor:
            # A tensor without values, of FakeTensorMode, must not outlive its mode.
            return values
        _quantiles_by_device[device] = values
    return _quantiles_by_device[device]
