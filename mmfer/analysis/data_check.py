"""Facts about a data set: classes, sizes, broken images, and the same image twice.

:func:`read_facts` decodes each image once. The other functions compute with arrays.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from mmfer.datasets import CropFace, FERDataset
from mmfer.datasets.images import UnreadableImageError, read_image
from mmfer.engine.preflight.compare_classes import compare_classes

# Names of images that a message lists.
SHOWN = 5
# A class with a smaller share of the images than one in so many of the largest.
RARE = 100


@dataclass
class SetFacts:
    """Facts about a data set of N images.

    Attributes:
        name (str): Name of the set, such as ``'train'``.
        classes (Sequence[str]): Names of the C classes.
        labels (np.ndarray): Given labels, int64 (N,).
        images (list[str]): Names of the images, (N,).
        hashes (list[str]): Hash of the pixels of each image, (N,); empty for an image
            that cannot be read.
        sizes (Counter): Number of images of each (width, height).
        broken (dict[str, str]): What is wrong with each image that cannot be read.
        notes (list[str]): What the data set itself has reported.
    """

    name: str
    classes: Sequence[str]
    labels: np.ndarray
    images: List[str]
    hashes: List[str]
    sizes: Counter
    broken: Dict[str, str]
    notes: List[str]


class Copies(NamedTuple):
    """Images that are there more than once, in rows of all images.

    Attributes:
        groups (list[list[int]]): Rows of each group of equal images, ascending.
        mixed (list[list[int]]): Groups whose images have different labels.
        leaked (list[list[int]]): Groups with images of several data sets.
    """

    groups: List[List[int]]
    mixed: List[List[int]]
    leaked: List[List[int]]


def read_facts(
    name: str, dataset: FERDataset, progress: Callable[[int, int], None]
) -> SetFacts:
    """Decode all images of a data set.

    Args:
        name (str): Name of the set.
        dataset (FERDataset): The data set.
        progress (Callable): Gets the number of images that are done, and all.
    """
    images, hashes = [], []
    sizes: Counter = Counter()
    broken = {}
    total = len(dataset)
    for position in range(total):
        progress(position, total)
        info = dataset.get_data_info(position)
        image = dataset.image_name(info['img_path'])
        images.append(image)
        try:
            pixels = info['img'] if 'img' in info else read_image(info['img_path'])
        except UnreadableImageError as error:
            broken[image] = str(error)
            hashes.append('')
            continue
        # Two faces in one photo are two images.
        pixels = CropFace()(dict(info, img=pixels))['img']
        sizes[pixels.shape[1], pixels.shape[0]] += 1
        hashes.append(pixel_hash(pixels))
    progress(total, total)
    notes = [dataset.skipped_report()] if dataset.skipped else []
    return SetFacts(
        name,
        dataset.CLASSES or [],
        dataset.get_gt_labels(),
        images,
        hashes,
        sizes,
        broken,
        notes,
    )


def pixel_hash(pixels: np.ndarray) -> str:
    """Return a hash of the size and the pixels of an image."""
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def find_copies(
    hashes: Sequence[str], labels: Sequence[int], sets: Sequence[int]
) -> Copies:
    """Find images with equal pixels.

    Args:
        hashes (Sequence[str]): Hash of each image, (N,); empty ones are left out.
        labels (Sequence[int]): Given label of each image, (N,).
        sets (Sequence[int]): Data set of each image, (N,).
    """
    rows: Dict[str, List[int]] = {}
    for row, value in enumerate(hashes):
        if value:
            rows.setdefault(value, []).append(row)
    groups = [group for group in rows.values() if len(group) > 1]
    return Copies(
        groups,
        [group for group in groups if len({labels[row] for row in group}) > 1],
        [group for group in groups if len({sets[row] for row in group}) > 1],
    )


def report(facts: List[SetFacts]) -> Tuple[List[str], int]:
    """Describe data sets in lines.

    Args:
        facts (list[SetFacts]): The training set first.

    Returns:
        tuple[list[str], int]: The lines, and the number of problems: lines that start
        with ``PROBLEM``.
    """
    lines = [*counts_table(facts), *sizes_lines(facts), '']
    problems = [*class_problems(facts), *image_problems(facts)]
    lines += [f'PROBLEM  {text}' for text in problems] or ['No problem was found.']
    lines += [f'note     {note}' for fact in facts for note in fact.notes]
    return lines, len(problems)


def counts_table(facts: List[SetFacts]) -> Iterator[str]:
    """Yield the number of images of each class and set."""
    classes = facts[0].classes
    width = max(map(len, [*classes, 'images']))
    label = len(str(len(classes) - 1))
    yield ' ' * (label + 2 + width) + ''.join(f'{f.name:>10}' for f in facts)
    counts = [np.bincount(f.labels, minlength=len(classes)) for f in facts]
    for i, name in enumerate(classes):
        yield f'{i:>{label}}  {name:<{width}}' + ''.join(
            f'{count[i]:>10,}' for count in counts
        )
    yield (
        ' ' * (label + 2)
        + f'{"images":<{width}}'
        + ''.join(f'{len(f.labels):>10,}' for f in facts)
    )


def sizes_lines(facts: List[SetFacts]) -> Iterator[str]:
    """Yield the sizes of the images of each set, the most frequent first."""
    for fact in facts:
        common = fact.sizes.most_common(3)
        text = ', '.join(f'{w} x {h} px ({n:,})' for (w, h), n in common)
        if len(fact.sizes) > len(common):
            sides = [side for size in fact.sizes for side in size]
            text += (
                f' and {len(fact.sizes) - len(common)} more sizes, sides of '
                f'{min(sides)} to {max(sides)} px'
            )
        yield f'sizes in {fact.name}: {text or "no image can be read"}'


def class_problems(facts: List[SetFacts]) -> Iterator[str]:
    """Yield what is wrong with the classes: their order, and those without images."""
    first = facts[0]
    for fact in facts[1:]:
        text = compare_classes(first.name, first.classes, fact.name, fact.classes)
        if text is not None:
            yield text
    for fact in facts:
        counts = np.bincount(fact.labels, minlength=len(fact.classes))
        empty = [fact.classes[i] for i in np.flatnonzero(counts == 0).tolist()]
        if empty:
            yield f'{fact.name} has no image of {listed(empty)}.'
    counts = np.bincount(first.labels, minlength=len(first.classes))
    rare = np.flatnonzero((counts > 0) & (counts * RARE < counts.max())).tolist()
    if rare:
        names = [f'{first.classes[i]} ({counts[i]})' for i in rare]
        yield (
            f'{first.name} has few images of {listed(names)}; the largest class has '
            f'{counts.max():,}. A model may never predict them.'
        )


def image_problems(facts: List[SetFacts]) -> Iterator[str]:
    """Yield what is wrong with images: broken ones, and the same one twice."""
    for fact in facts:
        if fact.broken:
            reasons = list(fact.broken.values())
            yield (
                f'{fact.name}: {len(reasons)} of {len(fact.labels)} images cannot be '
                f'read: {listed(reasons, "; ")}. Replace or remove them, or train with '
                f'on_bad_image=skip.'
            )
    labels = [label for fact in facts for label in fact.labels.tolist()]
    names = [f'{fact.name}: {image}' for fact in facts for image in fact.images]
    sets = [i for i, fact in enumerate(facts) for _ in fact.images]
    copies = find_copies([h for fact in facts for h in fact.hashes], labels, sets)

    def example(groups: List[List[int]]) -> str:
        return ' = '.join(names[row] for row in groups[0][:SHOWN])

    if copies.leaked:
        yield (
            f'{count(copies.leaked)} in several sets, for example '
            f'{example(copies.leaked)}. A model is then tested on what it was '
            'trained on: remove the copies from one of the sets.'
        )
    if copies.mixed:
        yield (
            f'{count(copies.mixed)} under different labels, for example '
            f'{example(copies.mixed)}. One of the labels is wrong.'
        )
    rest = [g for g in copies.groups if g not in copies.leaked + copies.mixed]
    if rest:
        yield (
            f'{count(rest)} several times in a set, for example {example(rest)}. '
            'They count more than others.'
        )


def count(groups: List[Any]) -> str:
    """Return the number of images that are repeated, with the verb."""
    return '1 image is' if len(groups) == 1 else f'{len(groups)} images are'


def listed(names: Sequence[str], separator: str = ', ') -> str:
    """Return the first names, and how many more there are."""
    more = f'{separator}and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return separator.join(names[:SHOWN]) + more
