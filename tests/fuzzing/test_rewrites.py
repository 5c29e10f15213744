"""Tables that a spreadsheet saved again, or that a person damaged.

What a table states is known here without any reader: it is a list of rows. A reader
must find the same however the table is saved, and must refuse wrong labels.
"""

import csv
import io
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import pytest
from fuzzing import text_readers as made
from fuzzing.file_readers import read_issues
from fuzzing.harness import made_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmfer.datasets.ferplus import HEADER, read_votes
from mmfer.datasets.lists import read_indexed_labels, read_label_list, read_va_list

CLASSES, NAMES = made.CLASSES, made.PLAIN
NO_NUMBERS = (
    *('1e400', 'nan', 'inf', '0x10', '¹', '３', '٣', '½', '1_0', '3.5', '-1', 'True'),
    *('1' + '0' * 30, '9' * 5000, 'a', '1 0', '1e0', '--1', '1,5', '+', '2**3'),
)
FOLDER = made_folder()
Rows = List[Tuple[str, ...]]


class Table(NamedTuple):
    """A kind of table, and what a reader finds in it.

    Attributes:
        header (tuple[str]): Names of the columns.
        row (Callable): Makes the row of a key from a drawn label.
        keys (tuple[str]): Keys of all rows.
        labels (tuple[str]): Valid labels.
        place (int): Column of the label.
        read (Callable): Returns the label of each key, as a text.
        wrong (tuple[str]): Labels that must be refused.
        whole (bool): Whether a missing row must be refused.
        repeated (bool): Whether a key may have two rows.
    """

    header: Tuple[str, ...]
    row: Callable[[int, str], Tuple[str, ...]]
    keys: Tuple[str, ...]
    labels: Tuple[str, ...]
    place: int
    read: Callable[[str], Dict[str, str]]
    wrong: Tuple[str, ...]
    whole: bool = False
    repeated: bool = False


# -- what readers find -----------------------------------------------------------
def numbers(path: str) -> Dict[str, str]:
    found = read_label_list(path, 7, label_base=1)
    return dict(zip(found.paths, map(str, found.labels + 1)))


def names(path: str) -> Dict[str, str]:
    found = read_label_list(path, 7, classes=CLASSES)
    return dict(zip(found.paths, (CLASSES[i] for i in found.labels)))


def indexed(path: str) -> Dict[str, str]:
    found = read_indexed_labels(path, 7, 7, partial=True)
    return {str(i): str(label) for i, label in enumerate(found) if label >= 0}


def valences(path: str) -> Dict[str, str]:
    found = read_va_list(path)
    return dict(zip(found.names, (f'{x:g}' for x in found.va[:, 0])))


def votes(path: str) -> Dict[str, str]:
    images, counts = read_votes(path, 'Training')
    return dict(zip(images, map(str, counts[:, 1])))


def expressions(path: str) -> Dict[str, str]:
    images, labels, _ = made.read_affectnet(path)
    return dict(zip(images, map(str, labels)))


def decisions(path: str) -> Dict[str, str]:
    found = made.decide(path)
    return dict(zip(map(str, found['sample_id']), map(str, found['suggested_label'])))


def issues(path: str) -> Dict[str, str]:
    found = read_issues(path)
    return dict(zip(map(str, found['sample_id']), map(str, found['suggested_label'])))


def score_row(i: int, label: str) -> Tuple[str, ...]:
    return str(i), made.IMAGES[i], str(made.GIVEN[i]), '0.25', '0.5', label, 'relabel'


def vote_row(i: int, label: str) -> Tuple[str, ...]:
    return 'Training', f'fer{i}.png', '1', label, *'10002111'


PORTRAITS = ('a.jpg', 'b b.jpg', 'é.jpg', '12.jpg')
DIGITS = tuple('1234567')
DECIDED = ('suggested_label', 'decision')
OUTSIDE = ('8', '99', '0', '')
TABLES = {
    'numbers': Table(
        *(('image', 'label'), lambda i, x: (NAMES[i], x), NAMES, DIGITS, 1, numbers),
        (*NO_NUMBERS, *OUTSIDE),
    ),
    'class names': Table(
        *(('path', 'emotion'), lambda i, x: (NAMES[i], x), NAMES, CLASSES, 1, names),
        (*NO_NUMBERS, '3', '', 'joy', 'hapiness'),
    ),
    'indexed': Table(
        *(('index', 'label'), lambda i, x: (str(i), x), tuple('0123456')),
        *(tuple('0123456'), 1, indexed, (*NO_NUMBERS, '7', '99', '')),
    ),
    'valence': Table(
        *(('image', 'valence', 'arousal'), lambda i, x: (PORTRAITS[i], x, '0.5')),
        *(PORTRAITS, ('-0.25', '0.5', '1'), 1, valences),
        ('1e400', 'nan', 'inf', '1e300', '0x10', '¹', '３', '1_0', 'a', '', '1 0'),
    ),
    'votes': Table(
        *(HEADER, vote_row, tuple(f'fer{i}.png' for i in range(5)), DIGITS, 3, votes),
        (*NO_NUMBERS, '', '9' * 19),
        repeated=True,
    ),
    'AffectNet': Table(
        made.affectnet_annotations.COLUMNS,
        lambda i, x: (f'1/{i}a.jpg', *'0099', '1;2', x, '0.5', '-2'),
        *(tuple(f'1/{i}a.jpg' for i in range(5)), tuple('01234567'), 6, expressions),
        (*NO_NUMBERS, '11', '99', ''),
    ),
    'decisions': Table(
        ('sample_id', 'image', 'given_label', 'x', 'noise_score', *DECIDED),
        *(score_row, tuple('01234'), tuple('0123456'), 5, decisions),
        (*NO_NUMBERS, '7', '99', ''),
        whole=True,
    ),
    'cleanlab': Table(
        ('', 'is_label_issue', 'label_score', 'given_label', 'predicted_label'),
        lambda i, x: (str(i), 'True', '0.25', str(made.GIVEN[i]), x),
        *(tuple('01234'), tuple('0123456'), 4, issues),
        (*NO_NUMBERS, '7', '99', ''),
        whole=True,
    ),
}


# -- ways to save a table --------------------------------------------------------
class Form(NamedTuple):
    """A way to save a table as text."""

    delimiter: str
    quoting: int
    end: str
    encoding: str
    blank: int
    empty: int
    case: Callable[[str], str]
    stated: bool


forms = st.builds(
    Form,
    st.sampled_from(',;\t'),
    st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
    st.sampled_from(('\n', '\r\n', '\r')),
    st.sampled_from(('utf-8', 'utf-8-sig', 'utf-16', 'utf-32')),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from((str, str.upper, str.title)),
    st.booleans(),
)


def save(header: Sequence[str], rows: Rows, form: Form) -> str:
    """Save a table, and return its path."""
    text = io.StringIO(newline='')
    writer = csv.writer(
        text, delimiter=form.delimiter, quoting=form.quoting, lineterminator=form.end
    )
    if form.stated:
        text.write(f'sep={form.delimiter}{form.end}')
    for row in [tuple(map(form.case, header)), *rows]:
        writer.writerow([*row, *[''] * form.empty])
        text.write(form.end * form.blank)
    path = FOLDER / 'table.csv'
    path.write_bytes(text.getvalue().encode(form.encoding))
    return str(path)


@st.composite
def tables(draw: Callable, kind: Table) -> Tuple[Rows, Dict[str, str]]:
    """Draw rows in any order, and the label of each key."""
    order = draw(st.permutations(range(len(kind.keys))))
    if not kind.whole:
        order = order[: draw(st.integers(2, len(order)))]
    label = st.sampled_from(kind.labels)
    chosen = draw(st.lists(label, min_size=len(order), max_size=len(order)))
    rows = [kind.row(i, text) for i, text in zip(order, chosen)]
    return rows, {kind.keys[i]: text for i, text in zip(order, chosen)}


def often(test: Callable) -> Callable:
    """Call a test with 40 draws for each kind of table."""
    checks = list(HealthCheck)
    drawn = settings(
        max_examples=40, database=None, deadline=None, suppress_health_check=checks
    )
    return pytest.mark.parametrize('name', TABLES)(
        settings(drawn, derandomize=True)(given(st.data(), forms)(test))
    )


@often
def test_saved_again(name: str, data: Any, form: Form) -> None:
    kind = TABLES[name]
    rows, stated = data.draw(tables(kind))
    columns = data.draw(st.permutations(range(len(kind.header))))
    if '' in kind.header:
        # Only the first column can be an index without a name.
        columns = list(range(len(kind.header)))
    header = [kind.header[c] for c in columns]
    path = save(header, [tuple(row[c] for c in columns) for row in rows], form)
    assert kind.read(path) == stated


@often
def test_wrong_label(name: str, data: Any, form: Form) -> None:
    kind = TABLES[name]
    rows, _ = data.draw(tables(kind))
    number = data.draw(st.integers(0, len(rows) - 1))
    wrong = data.draw(st.sampled_from(kind.wrong))
    row = rows[number]
    rows[number] = (*row[: kind.place], wrong, *row[kind.place + 1 :])
    path = save(kind.header, rows, form)
    with pytest.raises((ValueError, OSError), match='table.csv'):
        kind.read(path)


@often
def test_row_removed(name: str, data: Any, form: Form) -> None:
    kind = TABLES[name]
    rows, stated = data.draw(tables(kind))
    number = data.draw(st.integers(0, len(rows) - 1))
    key = list(stated)[number]
    del rows[number], stated[key]
    path = save(kind.header, rows, form)
    if kind.whole:
        with pytest.raises(ValueError, match='table.csv'):
            kind.read(path)
    else:
        assert kind.read(path) == stated


@often
def test_row_doubled(name: str, data: Any, form: Form) -> None:
    kind = TABLES[name]
    rows, stated = data.draw(tables(kind))
    key, label = data.draw(st.sampled_from(sorted(stated.items())))
    other = data.draw(st.sampled_from([x for x in kind.labels if x != label]))
    rows.append(kind.row(kind.keys.index(key), other))
    path = save(kind.header, rows, form)
    if kind.repeated:
        kind.read(path)
        return
    with pytest.raises(ValueError, match='table.csv'):
        kind.read(path)


@often
def test_white_space(name: str, data: Any, form: Form) -> None:
    kind = TABLES[name]
    if name not in ('numbers', 'class names', 'indexed', 'valence'):
        return
    rows, stated = data.draw(tables(kind))
    lines = [' ' * (1 + form.blank) + ' '.join(row) + ' ' * form.empty for row in rows]
    path = FOLDER / 'table.csv'
    path.write_bytes(form.end.join(lines).encode(form.encoding))
    assert kind.read(str(path)) == stated


def test_tables_are_valid() -> None:
    """Every wrong label is one that the model of the table does not know."""
    for kind in TABLES.values():
        assert not set(kind.wrong) & set(kind.labels)
        assert np.all([len(kind.row(0, '1')) == len(kind.header)])
