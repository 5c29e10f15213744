"""Readers of text files, each with a strategy of valid files."""

import csv
import io
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence
from unittest import mock

import numpy as np
from fuzzing.harness import Fact, Reader
from hypothesis import strategies as st

from mmfer.datasets import affectnet_annotations, fer2013, ferplus
from mmfer.datasets.cifar.files import read_numbered_list
from mmfer.datasets.expw import LISTED, read_faces
from mmfer.datasets.lists import read_indexed_labels, read_label_list, read_va_list
from mmfer.datasets.noisy_list import NoisyList
from mmfer.score_table import read_decisions, read_score_table
from mmfer.utils.checkpoint_names import read_last
from mmfer.utils.text_tables import read_class_names

CLASSES = ('surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral')
PLAIN = ('a.jpg', 'b b.jpg', 'd/c.png', 'é.jpg', '12.jpg', 'x,y.jpg', 'A.jpg')
RAFDB = tuple(f'train_0000{i}.jpg' for i in range(1, 7))
SEPARATORS = (',', ';', '\t')


def formatted(rows: Sequence[Sequence[Any]], separator: str, end: str = '\n') -> bytes:
    """Format rows as CSV."""
    text = io.StringIO(newline='')
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    return text.getvalue().encode()


@st.composite
def labelled(draw: Callable, names: Sequence[str], labels: Sequence[str]) -> List:
    """Draw some of the names, each with a label."""
    chosen = draw(st.permutations(names))[: draw(st.integers(2, len(names)))]
    given = draw(
        st.lists(st.sampled_from(labels), min_size=len(chosen), max_size=len(chosen))
    )
    return list(zip(chosen, given))


@st.composite
def lists(
    draw: Callable, names: Sequence[str], labels: Sequence[str], header: str = 'image'
) -> bytes:
    """Draw a list of images and labels in one of its forms."""
    rows = draw(labelled(names, labels))
    form = draw(st.integers(0, 4))
    if form < 2:
        return ''.join(f'{name} {label}\n' for name, label in rows).encode()
    separator = SEPARATORS[draw(st.integers(0, 2))]
    if form == 2:
        return formatted(rows, separator)
    return formatted([(header, 'label'), *rows], separator)


# -- facts -----------------------------------------------------------------------
def label_facts(found: Any) -> Iterator[Fact]:
    """Yield the label of each image as the file must have it."""
    for path, label in zip(found.paths, found.labels.tolist()):
        by_number = str(label + found.label_base)
        yield path, (CLASSES[label],) if found.by_name else (by_number,)


def va_facts(found: Any) -> Iterator[Fact]:
    """Yield the valence of each image; the values are not parsed again."""
    for name in found.names:
        yield name, ('',)


# -- readers ---------------------------------------------------------------------
def rafdb_table(folder: Path) -> Any:
    """Return a small list in the place of RAF-DB's own."""
    path = folder / 'list_patition_label.txt'
    path.write_text(''.join(f'{n} {i % 7 + 1}\n' for i, n in enumerate(RAFDB)))
    return read_label_list(path, 7, label_base=1, format='rafdb')


def joined_facts(found: NoisyList) -> Iterator[Fact]:
    """Yield the label of each image of RAF-DB that the noisy list has."""
    base = found.details['label_base']
    for name, label in zip(RAFDB, found.labels.tolist()):
        if label >= 0:
            yield name.removesuffix('.jpg'), (str(label + base), CLASSES[label])


def indexed_facts(labels: np.ndarray) -> Iterator[Fact]:
    """Yield the label of each image with an index."""
    for index, label in enumerate(labels.tolist()):
        if label >= 0:
            yield str(index), (str(label), CLASSES[label])


def numbered_facts(found: Any) -> Iterator[Fact]:
    """Yield the label of each numbered image."""
    for path, label in zip(*found):
        yield Path(path).name, (str(label),)


@st.composite
def indexed(draw: Callable) -> bytes:
    """Draw rows ``index label`` in any order."""
    rows = draw(labelled(tuple(map(str, range(6))), (*'0123456', 'fear', 'anger')))
    separator = draw(st.sampled_from((' ', *SEPARATORS)))
    head = [('index', 'label')] if draw(st.booleans()) else []
    return ''.join(f'{a}{separator}{b}\n' for a, b in [*head, *rows]).encode()


@st.composite
def in_order(draw: Callable) -> bytes:
    """Draw six labels, one per line."""
    return ''.join(
        f'{label}\n'
        for label in draw(st.lists(st.integers(0, 6), min_size=6, max_size=6))
    ).encode()


@st.composite
def numbered(draw: Callable) -> bytes:
    """Draw a list of numbered image files."""
    count = draw(st.integers(2, 6))
    labels = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    return ''.join(f'{i:05d}.jpg {x}\n' for i, x in enumerate(labels)).encode()


@st.composite
def valences(draw: Callable) -> bytes:
    """Draw a list of valence and arousal."""
    rows = draw(labelled(PLAIN[:5], ('-0.341', '0.5', '1', '-2', '.25')))
    if draw(st.booleans()):
        return ''.join(f'{name} {v} -0.129\n' for name, v in rows).encode()
    rows = [('image', 'valence', 'arousal'), *((n, v, '0.75') for n, v in rows)]
    return formatted(rows, draw(st.sampled_from(SEPARATORS)))


@st.composite
def votes(draw: Callable) -> bytes:
    """Draw a table like ``fer2013new.csv``."""
    rows = [ferplus.HEADER]
    for i in range(draw(st.integers(1, 4))):
        counts = [0] * 10
        for _ in range(3):
            counts[draw(st.integers(0, 9))] += 3
        usage = ('Training', 'PublicTest', 'PrivateTest')[draw(st.integers(0, 2))]
        rows.append((usage, f'fer{i:07d}.png', *counts))
    return formatted(rows, draw(st.sampled_from(SEPARATORS)))


def read_votes(path: str) -> Any:
    """Return the names and votes of all splits, and their labels."""
    found = [ferplus.read_votes(path, usage) for usage, _ in ferplus.SPLITS.values()]
    for _, counts in found:
        ferplus.argmax_labels(counts)
        ferplus.majority_labels(counts)
    return found


@st.composite
def pixel_tables(draw: Callable) -> bytes:
    """Draw a table like ``fer2013.csv``, with images of 2 x 2 pixels."""
    rows = [('emotion', 'pixels', 'Usage')]
    for _ in range(draw(st.integers(1, 4))):
        pixels = ' '.join(str(draw(st.integers(0, 255))) for _ in range(4))
        usage = ('Training', 'PublicTest', 'PrivateTest')[draw(st.integers(0, 2))]
        rows.append((str(draw(st.integers(0, 6))), pixels, usage))
    return formatted(rows, draw(st.sampled_from((',', ';', '\t'))))


def read_pixels(path: str) -> Any:
    """Read a table whose images have 2 x 2 pixels."""
    with mock.patch.object(fer2013, 'SIZE', 2):
        found = fer2013.read_pixel_table(path)
    assert found.pixels.shape == (len(found.labels), 2, 2)
    return found


def vote_facts(found: Any) -> Iterator[Fact]:
    """Yield the votes of each image; the columns keep their order in most files."""
    for names, counts in found:
        for name, row in zip(names, counts.tolist()):
            yield name, (str(max(row)),)


@st.composite
def affectnet(draw: Callable) -> bytes:
    """Draw a table of AffectNet's CSV release."""
    header = affectnet_annotations.COLUMNS
    rows: List[tuple] = [header] if draw(st.booleans()) else []
    for i in range(draw(st.integers(1, 4))):
        label, valence = draw(st.integers(0, 10)), draw(st.sampled_from(('0.5', '-2')))
        rows.append((f'1/{i}a.jpg', 0, 0, 9, 9, '1;2', label, valence, '-0.25'))
    return formatted(rows, ',')


def read_affectnet(path: str) -> Any:
    """Return annotations, labels, and valence and arousal of AffectNet."""
    found = affectnet_annotations.read_release_table(path)
    labels = found.labels()
    rows = np.flatnonzero(labels < 8)
    affectnet_annotations.check_repeats(found, labels, rows)
    return found.names, labels, found.va(rows)


def affectnet_facts(found: Any) -> Iterator[Fact]:
    """Yield the expression of each image."""
    for name, label in zip(found[0], found[1].tolist()):
        yield name, (str(label),)


@st.composite
def classes(draw: Callable) -> bytes:
    """Draw a file of class names."""
    names = draw(st.permutations(CLASSES))[: draw(st.integers(2, 7))]
    if draw(st.booleans()):
        names = [f'{i},{name}' for i, name in enumerate(names)]
    return ''.join(f'{name}\n' for name in names).encode()


@st.composite
def faces(draw: Callable) -> bytes:
    """Draw a list of ExpW."""
    rows = draw(labelled(PLAIN, '0123456'))
    return ''.join(
        f'{name} {i} 2 3 {i + 20} 30 22.5 {label}\n'
        for i, (name, label) in enumerate(rows)
    ).encode()


def face_facts(found: Any) -> Iterator[Fact]:
    """Yield the label of each face as the file must have it."""
    for name, label in zip(found.names, found.labels.tolist()):
        yield name, (str(LISTED.index(CLASSES[label])),)


IMAGES = [f'train/{i}.jpg' for i in range(5)]
GIVEN = np.array([0, 3, 6, 2, 1])


@st.composite
def scores(draw: Callable) -> bytes:
    """Draw a score table."""
    rows: List[Sequence[Any]] = [
        (
            *('sample_id', 'image', 'given_label', 'uncertainty', 'noise_score'),
            *('suggested_label', 'decision', 'clean_label'),
            *('given_class', 'suggested_class'),
        )
    ]
    for i in draw(st.permutations(range(5))):
        suggested = draw(st.integers(0, 6))
        decision = draw(st.sampled_from(('keep', 'relabel', 'drop', 'keep')))
        rows.append(
            (
                *(i, IMAGES[i], GIVEN[i], 0.25, 0.5, suggested, decision, ''),
                *(CLASSES[GIVEN[i]], CLASSES[suggested]),
            )
        )
    return formatted(rows, draw(st.sampled_from(SEPARATORS)))


def decide(path: str) -> Any:
    """Read decisions for the data set of :data:`IMAGES`."""
    return read_decisions(path, IMAGES, GIVEN, np.arange(5), 7, CLASSES)


def decision_facts(found: Any) -> Iterator[Fact]:
    """Yield the decision on each image, and the label that it gets."""
    for i, image in enumerate(IMAGES):
        name = Path(image).name
        yield name, (str(found['decision'][i]),)
        if found['decision'][i] == 'relabel':
            label = int(found['suggested_label'][i])
            yield name, (str(label), CLASSES[label])


def score_facts(found: Any) -> Iterator[Fact]:
    """Yield the decision on each sample."""
    for i, decision in zip(found['sample_id'].tolist(), found['decision'].tolist()):
        yield str(i), (decision,)


def read_last_name(path: str) -> Any:
    """Read ``last_checkpoint`` of a work dir."""
    target = Path(path).parent / 'run' / 'last_checkpoint'
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)
    return read_last(str(target.parent))


def text_readers(folder: Path) -> List[Reader]:
    """Return the readers of text files; some need other files in the folder."""
    clean = rafdb_table(folder)
    numbers = tuple('1234567')
    return [
        Reader(
            'label list, numbers',
            lambda path: read_label_list(path, 7, label_base=1),
            lists(PLAIN, numbers),
            facts=label_facts,
        ),
        Reader(
            'label list, base found',
            lambda path: read_label_list(path, 7, by_path=True, root=str(folder)),
            lists(PLAIN, ('0', *numbers)),
            facts=label_facts,
        ),
        Reader(
            'label list, class names',
            lambda path: read_label_list(path, 7, classes=CLASSES),
            lists(PLAIN, CLASSES),
            '.csv',
            label_facts,
        ),
        Reader(
            'noisy list of RAF-DB',
            lambda path: NoisyList.by_name(path, clean, 1, True, CLASSES),
            lists(RAFDB, numbers),
            facts=joined_facts,
        ),
        Reader('valence and arousal', read_va_list, valences(), facts=va_facts),
        Reader(
            'indexed labels',
            lambda path: read_indexed_labels(path, 6, 7, True, CLASSES),
            indexed(),
            facts=indexed_facts,
        ),
        Reader(
            'labels in order', lambda path: read_indexed_labels(path, 6, 7), in_order()
        ),
        Reader(
            'numbered images',
            lambda path: read_numbered_list(path, 'train', 7),
            numbered(),
            facts=numbered_facts,
        ),
        Reader('faces of ExpW', read_faces, faces(), '.lst', face_facts),
        Reader('votes of FERPlus', read_votes, votes(), '.csv', vote_facts),
        Reader('pixels of FER2013', read_pixels, pixel_tables(), '.csv'),
        Reader(
            'table of AffectNet', read_affectnet, affectnet(), '.csv', affectnet_facts
        ),
        Reader(
            'class names',
            read_class_names,
            classes(),
            facts=lambda c: ((n, ('',)) for n in c),
        ),
        Reader('score table', read_score_table, scores(), '.csv', score_facts),
        Reader('decisions', decide, scores(), '.csv', decision_facts),
        Reader('last_checkpoint', read_last_name, st.just(b'epoch_3.pth\n'), ''),
    ]
