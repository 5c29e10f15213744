"""Comparisons of plain facts, which know nothing of runners.

Each function returns a sentence that says both values and the way out, or
None where nothing is wrong.
"""

import math
from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch.nn as nn

from ..pipeline_probe import PreparedImage

# Share of an image's area below which a crop is taken for an oversight.
MIN_VISIBLE = 0.5


def compare_classes(
    where: str,
    classes: Optional[Sequence[str]],
    other: str,
    other_classes: Optional[Sequence[str]],
) -> Optional[str]:
    """Compare names and order of classes.

    Upper and lower case do not count. Of classes that are only numbered ('0',
    '1', ...) the number is compared.

    Args:
        where, other (str): Who states them, for the message.
        classes, other_classes (Sequence[str], optional): None: not known.
    """
    if classes is None or other_classes is None:
        return None
    first, second = plain_names(classes), plain_names(other_classes)
    if first == second:
        return None
    if len(first) == len(second) and (numbered(first) or numbered(second)):
        return None
    advice = (
        'A label would mean different things in the two: give both the '
        'same classes in the same order (classes=[...] of the data '
        'set).'
    )
    if len(first) != len(second):
        parts = []
        if not numbered(first) and not numbered(second):
            for who, lacking in (
                (where, set(second) - set(first)),
                (other, set(first) - set(second)),
            ):
                if lacking:
                    names = [
                        n
                        for n in [*classes, *other_classes]
                        if plain_names([n])[0] in lacking
                    ]
                    parts.append(f'{who} lacks {shorten(names)}')
        return (
            f'{where} has {len(first)} classes and {other} has '
            f'{len(second)}'
            + (': ' + ', '.join(parts) if parts else '')
            + f'. {advice}'
        )
    label = next(i for i, pair in enumerate(zip(first, second)) if pair[0] != pair[1])
    kind, synonyms = 'the same classes in another order', ''
    if set(first) != set(second):
        kind = 'other classes'
        synonyms = (
            'If these are two names of one class, set '
            'default_hooks.preflight.strict=False. '
        )
    return (
        f'{where} and {other} have {kind}: label {label} is '
        f'{str(classes[label])!r} in {where} and '
        f'{str(other_classes[label])!r} in {other}. {synonyms}{advice}'
    )


def compare_outputs(
    where: str,
    num_classes: Optional[int],
    outputs: Optional[int],
    settings: Sequence[str] = (),
) -> Optional[str]:
    """Compare the number of classes with the model's number of outputs.

    Args:
        where (str): Which data set.
        num_classes (int, optional): Of the data set; None: not known.
        outputs (int, optional): Of the model; None: not known.
        settings (Sequence[str]): Where in the config ``outputs`` is stated.
    """
    if num_classes is None or outputs is None or num_classes == outputs:
        return None
    what = (
        f'labels from {outputs} on have no output'
        if outputs < num_classes
        else f'outputs from {num_classes} on belong to no class'
    )
    change = (
        ' and '.join(f'{path}={num_classes}' for path in settings)
        or f'num_classes={num_classes} of the model'
    )
    return (
        f'{where} has {num_classes} classes, and the model has {outputs} '
        f'outputs: {what}. Set {change}, or correct the classes of the '
        'data set.'
    )


def compare_one_hot(
    where: str, num_classes: int, preprocessor: nn.Module
) -> Optional[str]:
    """Compare the number of classes with the width of mixed labels.

    Args:
        where (str): Which data set.
        num_classes (int): Of the data set.
        preprocessor (nn.Module): Mixes labels if it has ``batch_augments``.
    """
    width = getattr(preprocessor, 'num_classes', None)
    if getattr(preprocessor, 'batch_augments', None) is None or width in (
        None,
        num_classes,
    ):
        return None
    return (
        f'{where} has {num_classes} classes, and '
        f'data_preprocessor.num_classes={width} is the width of mixed '
        f'labels: set data_preprocessor.num_classes={num_classes}.'
    )


def compare_labels(
    where: str, largest: Optional[int], outputs: Optional[int]
) -> Optional[str]:
    """Compare the largest label of a data set that names no classes."""
    if largest is None or outputs is None or largest < outputs:
        return None
    return (
        f'{where} has a label {largest}, and the model has {outputs} '
        f'outputs, for labels 0 to {outputs - 1}. Set num_classes of the '
        'model, or correct the labels.'
    )


def check_batch_count(
    where: str,
    batches: int,
    samples: int,
    batch_size: Optional[int],
    world_size: int = 1,
) -> Optional[str]:
    """Say that no batch is complete.

    Args:
        where (str): Which data loader.
        batches (int): In an epoch of one process.
        samples (int): Of one process.
        batch_size (int, optional): Of one process; None: not known.
        world_size (int): Number of processes.
    """
    if batches > 0:
        return None
    each = f' in each of {world_size} processes' if world_size > 1 else ''
    if batch_size is None:
        return (
            f'{where} has no batch of its {samples} samples{each}: '
            'correct its batch_sampler.'
        )
    return (
        f'{where} has {samples} samples{each}, fewer than one batch of '
        f'{batch_size} ({samples} < {batch_size}), and drop_last=True '
        'drops an incomplete batch: nothing would be left. Set '
        f'{where}.batch_size={max(samples, 1)} or less, or '
        f'{where}.drop_last=False.'
    )


def smallest_batch(samples: int, batch_size: int, drop_last: bool) -> int:
    """Number of samples in the smallest batch of an epoch."""
    rest = samples % batch_size
    return rest if rest and not drop_last else min(batch_size, samples)


def check_single_samples(
    where: str, samples: int, batch_size: int, drop_last: bool, layers: Sequence[str]
) -> Optional[str]:
    """Say that a batch of one image meets a layer that needs two.

    Args:
        where (str): Which data loader.
        samples (int): Of one process.
        batch_size (int): Of one process.
        drop_last (bool): Whether an incomplete batch is dropped.
        layers (Sequence[str]): Names of layers that take statistics over the
            images of a batch alone.
    """
    if not layers or smallest_batch(samples, batch_size, drop_last) != 1:
        return None
    more = f' and {len(layers) - 1} more' if len(layers) > 1 else ''
    why = f'{layers[0]}{more} take statistics over the images of a batch, at least two'
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


def check_one_class(
    where: str, counts: Sequence[int], classes: Sequence[str], cause: str = ''
) -> Optional[str]:
    """Say that all training samples have the same label.

    Args:
        where (str): Which data set.
        counts (Sequence[int]): Samples of each class.
        classes (Sequence[str]): Their names.
        cause (str): What left it so, for the message.
    """
    used = np.flatnonzero(counts)
    if len(counts) < 2 or len(used) > 1:
        return None
    name = classes[used[0]] if len(used) else 'any class'
    return (
        f'{where} has samples of {name} only{cause}: there is nothing to '
        'tell it from. Look at the labels or the decisions, and keep '
        'samples of two classes at least.'
    )


def check_crops(
    where: str, images: Sequence[PreparedImage], scale: Optional[Tuple[int, int]] = None
) -> Optional[str]:
    """Say that images are cropped to less than half without a resize.

    Args:
        where (str): Which data set.
        images (Sequence[PreparedImage]): A sample of its images.
        scale (tuple[int, int], optional): Height and width to resize to, for
            the message.
    """
    cropped = [i for i in images if i.visible_before_resize < MIN_VISIBLE]
    if not cropped:
        return None
    worst = min(cropped, key=lambda i: i.visible_before_resize)
    scale = f'({scale[1]}, {scale[0]})' if scale else '(width, height)'
    return (
        f'{where}: the pipeline crops {len(cropped)} of {len(images)} '
        'images that were looked at to less than half of their area '
        'without resizing them first: of '
        f'{worst.name} ({in_pixels(worst.size)} pixels) '
        f'{worst.visible_before_resize:.0%} is left. Put '
        f"dict(type='Resize', scale={scale}, interpolation='area') before "
        'the crop in all pipelines; if the crop is meant, as one around a '
        'face, set default_hooks.preflight.strict=False.'
    )


def check_narrow_views(where: str, images: Sequence[PreparedImage]) -> Optional[str]:
    """Say that less than half of resized images is seen (a warning)."""
    narrow = [
        i
        for i in images
        if i.visible < MIN_VISIBLE and i.visible_before_resize >= MIN_VISIBLE
    ]
    if not narrow:
        return None
    worst = min(narrow, key=lambda i: i.visible)
    return (
        f'{where}: of {len(narrow)} of {len(images)} images that were '
        'looked at the pipeline leaves less than half of the area, for '
        f'example {worst.visible:.0%} of {worst.name} '
        f'({in_pixels(worst.size)} pixels). If faces are cut off, resize '
        'with keep_ratio=False or crop the files around the faces.'
    )


def check_shapes(
    where: str, images: Sequence[PreparedImage], input_shape: Optional[Sequence[int]]
) -> Optional[str]:
    """Compare what the pipeline makes with what the model is built for.

    Args:
        where (str): Which data set.
        images (Sequence[PreparedImage]): A sample of its images.
        input_shape (Sequence[int], optional): (C, H, W) of the model; None:
            not stated, then images of a batch have only to be alike.
    """
    images = [i for i in images if i.shape is not None]
    if not images:
        return None
    if input_shape is None:
        other = [i for i in images if i.shape != images[0].shape]
        if not other:
            return None
        return (
            f'{where}: the pipeline makes images of different sizes, '
            f'{in_pixels(images[0].shape[1:])} pixels of '
            f'{images[0].name} and {in_pixels(other[0].shape[1:])} of '
            f'{other[0].name}, which cannot be put in one batch. Add '
            "dict(type='Resize', scale=(width, height)) to the pipeline."
        )
    input_shape = tuple(input_shape)
    wrong = [i for i in images if i.shape != input_shape]
    if not wrong:
        return None
    advice = 'Resize or crop in all pipelines, or change data_preprocessor.input_shape.'
    if all(i.shape[1:] == input_shape[1:] for i in wrong):
        advice = (
            "Set color_type='color' or 'grayscale' of LoadFERImage in "
            'all pipelines, or change data_preprocessor.input_shape.'
        )
    return (
        f'{where}: the pipeline makes images of {wrong[0].shape} '
        f'(channels, height, width) of {wrong[0].name} '
        f'({in_pixels(wrong[0].size)} pixels), and '
        f'data_preprocessor.input_shape is {input_shape}; '
        f'so it is with {len(wrong)} of {len(images)} images that were '
        f'looked at. {advice}'
    )


def check_image_size(
    where: str, images: Sequence[PreparedImage], image_size: Sequence[int]
) -> Optional[str]:
    """Compare images that no step resizes with the ``image_size`` stated.

    FERInferencer brings faces to that size, so that training and test would
    see other pixels than it does. A warning.

    Args:
        where (str): Which data set; its pipeline has no step that resizes.
        images (Sequence[PreparedImage]): A sample of its images.
        image_size (Sequence[int]): Height and width.
    """
    wrong = [i for i in images if tuple(i.size) != tuple(image_size)]
    if not wrong:
        return None
    return (
        f'{where}: {len(wrong)} of {len(images)} images that were looked '
        f'at are not of image_size {in_pixels(image_size)}, for example '
        f'{wrong[0].name} with {in_pixels(wrong[0].size)} pixels, and no '
        'step of the pipeline resizes them; FERInferencer does, and will '
        "see other pixels than the training. Put dict(type='Resize', "
        f'scale=({image_size[1]}, {image_size[0]}), '
        "interpolation='area') behind the loading step in all pipelines."
    )


def check_loop(max_iters: int, batches: int) -> str:
    """Say that a training must be counted in epochs.

    Args:
        max_iters (int): Iterations of the training.
        batches (int): In an epoch.
    """
    epochs = max(1, math.ceil(max_iters / max(batches, 1)))
    return (
        'train_cfg: the training is counted in iterations, and '
        'history.json and summary.json are counted in epochs. Set '
        'train_cfg=dict(by_epoch=True, '
        f'max_epochs={epochs}, val_interval=1), which is '
        f'{epochs * batches} iterations instead of {max_iters}.'
    )


def plain_names(classes: Sequence[str]) -> List[str]:
    """Class names without upper case and surrounding blanks."""
    return [str(name).strip().casefold() for name in classes]


def numbered(names: Sequence[str]) -> bool:
    """Return whether classes have numbers instead of names."""
    return list(names) == [str(i) for i in range(len(names))]


def shorten(names: Sequence[str], limit: int = 5) -> str:
    """Join the first names of a list, and say how many more there are."""
    names = list(dict.fromkeys(str(name) for name in names))
    text = ', '.join(names[:limit])
    return text if len(names) <= limit else f'{text} and {len(names) - limit} more'


def in_pixels(size: Sequence[int]) -> str:
    """Height and width for a message."""
    return ' x '.join(str(length) for length in size)
