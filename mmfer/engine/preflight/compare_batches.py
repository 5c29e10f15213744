"""Compare numbers of samples, batches and iterations.

Each check returns a message, or None if nothing is wrong.
"""

import math
from typing import Optional, Sequence


def check_batch_count(
    where: str,
    batches: int,
    samples: int,
    batch_size: Optional[int],
    world_size: int = 1,
) -> Optional[str]:
    """Check that there is at least one complete batch.

    Args:
        where (str): Name of the data loader.
        batches (int): Batches per epoch of one process.
        samples (int): Samples per epoch of one process.
        batch_size (int, optional): Samples per batch of one process; None if
            it is not known.
        world_size (int): Number of processes. Defaults to 1.
    """
    if batches > 0:
        return None
    each = f' in each of {world_size} processes' if world_size > 1 else ''
    if batch_size is None:
        return (
            f'{where} makes no batch of its {samples} samples{each}: '
            'correct its batch_sampler.'
        )
    return (
        f'{where} has {samples} samples{each}, fewer than one batch of '
        f'{batch_size} ({samples} < {batch_size}). drop_last=True '
        'drops an incomplete batch, so no batch would be left. Set '
        f'{where}.batch_size={max(samples, 1)} or less, or '
        f'{where}.drop_last=False.'
    )


def check_equal_shares(
    where: str, samples: int, round_up: bool, world_size: int
) -> Optional[str]:
    """Check that all processes get equally many samples.

    Args:
        where (str): Name of the data loader.
        samples (int): Samples of the data set.
        round_up (bool): Whether the sampler repeats samples to make the shares
            equal.
        world_size (int): Number of processes.
    """
    if round_up or samples % world_size == 0:
        return None
    return (
        f'{where}: {world_size} processes cannot share {samples} samples equally, '
        f'and {where}.sampler.round_up=False. The processes would wait for one '
        f'another without end. Set {where}.sampler.round_up=True.'
    )


def smallest_batch(samples: int, batch_size: int, drop_last: bool) -> int:
    """Return the number of samples in the smallest batch of an epoch."""
    rest = samples % batch_size
    return rest if rest and not drop_last else min(batch_size, samples)


def check_single_samples(
    where: str, samples: int, batch_size: int, drop_last: bool, layers: Sequence[str]
) -> Optional[str]:
    """Check that no batch of a single image reaches a layer that needs two.

    Args:
        where (str): Name of the data loader.
        samples (int): Samples per epoch of one process.
        batch_size (int): Samples per batch of one process.
        drop_last (bool): Whether an incomplete batch is dropped.
        layers (Sequence[str]): Names of layers that get one value per channel
            of each image, and compute statistics over the images of a batch.
    """
    if not layers or smallest_batch(samples, batch_size, drop_last) != 1:
        return None
    more = f' and {len(layers) - 1} more' if len(layers) > 1 else ''
    why = (
        f'{layers[0]}{more} compute statistics over the images of a batch, '
        'which needs two images'
    )
    if batch_size == 1 or samples == 1:
        return (
            f'{where} has batches of one image, and {why}. Set '
            f'{where}.batch_size to 2 or more.'
            if samples > 1
            else f'{where} has one image, and {why}. Add images.'
        )
    other = next(b for b in range(batch_size + 1, samples + 2) if samples % b != 1)
    return (
        f'{where}: {samples} samples in batches of {batch_size} end with '
        f'a batch of one image, and {why}. Set {where}.drop_last=True, or '
        f'another batch size, such as {where}.batch_size={other}.'
    )


def check_loop(max_iters: int, batches: int) -> str:
    """Return the message for a run that is counted in iterations.

    Args:
        max_iters (int): Number of iterations of the run.
        batches (int): Batches per epoch.
    """
    epochs = max(1, math.ceil(max_iters / max(batches, 1)))
    return (
        'train_cfg: the run is counted in iterations, but '
        'history.json and summary.json are counted in epochs. Set '
        'train_cfg=dict(by_epoch=True, '
        f'max_epochs={epochs}, val_interval=1), which is '
        f'{epochs * batches} iterations instead of {max_iters}.'
    )
