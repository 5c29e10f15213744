"""The score table: what is written is read back, also from before."""

import csv
import io
import itertools

import numpy as np
import pytest
from helpers import ROOT

from mmfer.datasets import SyntheticFaces
from mmfer.score_table import (
    format_table,
    insert_measurements,
    labels_after_decisions,
    merge_decisions,
    read_decisions,
    read_score_table,
    replace_decisions,
    score_columns,
    suggest_labels,
    write_score_table,
    writing,
)

# Written by mmfer 0.1.0 for twelve drawn faces, which have no class columns.
OLD_TABLE = f'{ROOT}/tests/data/sample_scores_0.1.csv'
OLD_SETTINGS = dict(
    num_samples=12,
    size=36,
    label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0),
    pipeline=[],
)


def rows_of(table, classes=None):
    return list(csv.DictReader(io.StringIO(format_table(table, classes).decode())))


def scored():
    scores = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.1, 0.1, 0.8]])
    return score_columns(
        np.array([4, 7, 9]),
        ['a', 'b', 'c'],
        np.array([0, 1, 0]),
        scores,
        np.array([0.5, 0.6, 0.7]),
        0.2,
    )


def test_score_columns():
    table = scored()
    assert table['decision'].tolist() == ['keep', 'keep', 'relabel']
    assert table['suggested_label'].tolist() == [0, 0, 2]
    np.testing.assert_allclose(table['noise_score'], [0.3, 0.65, 0.9])
    assert table['sample_id'].tolist() == [4, 7, 9]


def test_numbers_are_cut_in_the_file_alone():
    table = scored()
    table['noise_score'] = np.array([1 / 3, 1 / 3 + 1e-9, 1e-7 / 3])
    assert [row['noise_score'] for row in rows_of(table)] == [
        '0.333333',
        '0.333333',
        '3.33333e-08',
    ]
    assert len(np.unique(table['noise_score'])) == 3


def test_measurements_take_the_place_of_the_score():
    measured = dict(
        steps=np.array([1.0, 2.5, 3.0]),
        candidate=np.array([True, False, True]),
        noise_score=np.array([0.9, 0.1, 0.2]),
    )
    table = scored()
    after = insert_measurements(table, measured)
    assert list(after)[3:8] == [
        'uncertainty',
        'confidence',
        'steps',
        'candidate',
        'noise_score',
    ]
    assert [row['steps'] for row in rows_of(after)] == ['1', '2.5', '3']
    assert [row['candidate'] for row in rows_of(after)] == ['1', '0', '1']
    assert 'steps' not in table and table['noise_score'][0] == pytest.approx(0.3)


def test_suggestions_of_a_method_replace_those_of_the_prediction():
    table = scored()
    after = suggest_labels(table, np.array([2, 1, 0]))
    # The last two are the given labels.
    assert after['decision'].tolist() == ['relabel', 'keep', 'keep']
    assert after['suggested_label'].tolist() == [2, 1, 0]
    assert list(after) == list(table)
    assert table['suggested_label'].tolist() == [0, 0, 2]


def test_decisions_of_a_cleaning_are_matched_by_sample():
    decisions = dict(
        sample_id=np.array([9, 2, 4, 7]),
        given_label=np.array([0, 0, 0, 1]),
        subset=np.array([1, 0, 1, 0]),
        suggested_label=np.array([1, 0, 0, -1]),
        decision=np.array(['relabel', 'keep', 'keep', 'drop']),
        noise_score=np.array([0.9, 0.2, 0.4, 0.7]),
    )
    table = merge_decisions(scored(), decisions)
    assert table['decision'].tolist() == ['keep', 'drop', 'relabel']
    assert table['suggested_label'].tolist() == [0, -1, 1]
    assert table['noise_score'].tolist() == [0.4, 0.7, 0.9]
    assert table['subset'].tolist() == [1, 0, 1]
    kept, labels = labels_after_decisions(table)
    assert kept.tolist() == [True, False, True] and labels.tolist() == [0, 1, 1]


def test_names_of_classes():
    table = dict(scored(), clean_label=np.array([0, 1, 2]))
    table['suggested_label'] = np.array([0, -1, 2])
    names = ('a,b', 'c "d"', 'e\u2028f')
    rows = rows_of(table, names)
    assert list(rows[0])[-3:] == ['clean_label', 'given_class', 'suggested_class']
    assert [row['given_class'] for row in rows] == ['a,b', 'c "d"', 'a,b']
    # A name is one line; a number below zero has none.
    assert [row['suggested_class'] for row in rows] == ['a,b', '', 'e f']
    # All else is as without names, to the byte.
    without = format_table(table)
    assert [line.rsplit(b',', 2)[0] for line in format_table(table, 'xyz').split()] == (
        without.split()
    )
    assert format_table(table, ['0', '1', '2']) == without


def test_control_renames_what_it_suggests(tmp_path):
    path = str(tmp_path / 'sample_scores.csv')
    write_score_table(path, scored(), ('x', 'y', 'z'))
    table = read_score_table(path)
    assert table['suggested_class'].tolist() == ['x', 'x', 'z']
    after = replace_decisions(
        table, np.array(['drop', 'keep', 'relabel']), np.array([-1, 1, 2])
    )
    assert after['suggested_class'].tolist() == ['', 'y', 'z']
    assert format_table(
        replace_decisions(table, table['decision'], np.array([0, 0, 2]))
    )
    assert list(after) == list(table)


AWKWARD = [
    'a,b.png',
    'c "d".png',
    '#e.png',
    'f;g.png',
    ' h .png',
    '"i".png',
    'k\tl.png',
    'm\\n.png',
    'gr\xfcn\u2028.png',
    '1',
]


@pytest.mark.parametrize('number', ['09999999999999999999', '9' * 40])
def test_sample_number_that_does_not_fit(tmp_path, number):
    path = tmp_path / 'scores.csv'
    path.write_text(
        'sample_id,given_label,suggested_label,noise_score,decision\n'
        f'{number},1,1,0.5,keep\n'
    )
    with pytest.raises(ValueError, match='scores.csv, line 2: .*sample_id'):
        read_score_table(str(path))


def test_written_table_is_read_back(tmp_path):
    table = dict(
        sample_id=np.arange(10),
        image=np.array(AWKWARD, dtype=object),
        given_label=np.arange(10) % 3,
        extra=np.full(10, 0.5),
        noise_score=np.arange(10) / 7,
        suggested_label=(np.arange(10) + 1) % 3,
        decision=np.array(['keep', 'drop', 'relabel'])[np.arange(10) % 3],
    )
    path = str(tmp_path / 'sample_scores.csv')
    names = ('a\nb', '2', 'c')
    write_score_table(path, table, names)
    given, ids = np.arange(10) % 3, np.arange(10)
    found = read_decisions(path, AWKWARD, given, ids, 3, names)
    for name in ('sample_id', 'given_label', 'suggested_label', 'decision'):
        assert found[name].tolist() == table[name].tolist()
    np.testing.assert_allclose(found['noise_score'], np.arange(10) / 7, rtol=1e-5)
    again = read_score_table(path)
    assert again['extra'].tolist() == ['0.5'] * 10
    assert list(again) == [*table, 'given_class', 'suggested_class']


def test_further_columns(tmp_path):
    """They come as text, in the order of the samples, if the table has them."""
    path = str(tmp_path / 'scores.csv')
    table = dict(
        sample_id=np.array([2, 0, 1]),
        image=np.array(['c', 'a', 'b'], dtype=object),
        given_label=np.array([0, 1, 0]),
        duplicate_of=np.array([-1, 2, -1]),
        group=np.array(['=x', 'y', ''], dtype=object),
        noise_score=np.array([0.1, 0.2, 0.3]),
        suggested_label=np.array([1, 1, 1]),
        decision=np.array(['keep'] * 3),
    )
    write_score_table(path, table)
    given, ids = np.array([1, 0, 0]), np.arange(3)

    def read(**kwargs):
        return read_decisions(path, list('abc'), given, ids, 2, **kwargs)

    found = read(extra=('duplicate_of', 'other', 'group'))
    assert found['duplicate_of'].tolist() == ['2', '-1', '-1']
    assert found['group'].tolist() == ['y', '', '=x']
    assert set(found) - set(read()) == {'duplicate_of', 'group'}


def write_named(tmp_path, change=lambda lines: lines):
    """A table of five samples, of which the third is relabelled to class 2."""
    table = dict(
        sample_id=np.arange(5),
        image=np.array(list('abcde'), dtype=object),
        given_label=np.array([0, 1, 1, 2, 0]),
        noise_score=np.arange(5) / 10,
        suggested_label=np.array([0, 1, 2, -1, 1]),
        decision=np.array(['keep', 'keep', 'relabel', 'drop', 'keep']),
    )
    path = tmp_path / 'sample_scores.csv'
    lines = format_table(table, ('fear', 'anger', '3')).decode().splitlines()
    path.write_text('\n'.join(change(lines)) + '\n')
    return str(path)


def read_named(path, classes=('fear', 'anger', '3')):
    given = np.array([0, 1, 1, 2, 0])
    return read_decisions(path, list('abcde'), given, np.arange(5), 3, classes)


def replaced(row, old, new):
    def change(lines):
        assert old in lines[row]
        return [*lines[:row], lines[row].replace(old, new), *lines[row + 1 :]]

    return change


@pytest.mark.parametrize(
    'change',
    [
        lambda lines: lines,
        # A spreadsheet or pandas may change letters and numbers.
        replaced(3, 'anger,3', 'ANGER ,3.0'),
        replaced(3, 'anger,3', ','),
        # Nothing happens to samples that are kept.
        replaced(5, 'fear,anger', 'fear,sadness'),
        lambda lines: [line.rsplit(',', 2)[0] for line in lines],
    ],
)
def test_class_names_that_agree(tmp_path, change):
    found = read_named(write_named(tmp_path, change))
    assert found['suggested_label'].tolist() == [0, 1, 2, -1, 1]


@pytest.mark.parametrize(
    'change, message',
    [
        # A person corrected the name alone.
        (
            replaced(3, 'anger,3', 'anger,fear'),
            "line 4: .*suggested_class is 'fear', but suggested_label is 2.*'3'",
        ),
        (
            replaced(1, 'fear,fear', 'sadness,fear'),
            "line 2: .*given_class is 'sadness'",
        ),
    ],
)
def test_class_names_that_contradict_numbers(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_named(write_named(tmp_path, change))


def test_a_label_that_a_person_writes_as_a_name(tmp_path):
    """The old name beside it does not matter: nobody mistakes a name for another."""
    found = read_named(write_named(tmp_path, replaced(3, '2,relabel', 'Fear,relabel')))
    assert found['suggested_label'].tolist() == [0, 1, 0, -1, 1]


def test_another_order_of_the_classes_is_told(tmp_path):
    """The numbers alone would fit."""
    path = write_named(tmp_path)
    assert len(read_named(path, None)['decision']) == 5
    with pytest.raises(ValueError, match="given_class is 'fear', but given_label is 0"):
        read_named(path, ('anger', 'fear', '3'))


def test_table_from_before_class_names():
    """A data set takes it, and it is written as it was."""
    dataset = SyntheticFaces(**OLD_SETTINGS, decisions=OLD_TABLE)
    given = dataset.given_labels
    changed = np.flatnonzero(dataset.get_gt_labels() != given)
    assert changed.tolist() == [6, 11] and len(dataset) == 12
    assert (dataset.get_gt_labels()[changed] == 6).all()
    table = read_score_table(OLD_TABLE)
    assert (table['clean_label'] == dataset.clean_labels).all()
    assert table['clean_probability_1'][0] == '0.37389'
    with open(OLD_TABLE, 'rb') as file:
        assert format_table(table) == file.read()


@pytest.mark.parametrize('classes', [None, ('x', 'two words', '3'), ('0', '1', '2')])
@pytest.mark.parametrize('clean', [False, True])
@pytest.mark.parametrize('chunk', [1, 4, 8192])
def test_parts_of_a_table_make_the_same_file(classes, clean, chunk, monkeypatch):
    """The file is that of a plain loop over the rows, for any size of the parts."""
    monkeypatch.setattr(writing, '_CHUNK', chunk)
    rng = np.random.default_rng(1)
    table = dict(
        sample_id=np.arange(10),
        image=np.array(AWKWARD, dtype=object),
        given_label=rng.integers(0, 3, 10),
        candidate=rng.random(10) < 0.5,
        noise_score=rng.standard_normal(10).astype(np.float32),
        suggested_label=rng.integers(-1, 3, 10),
        decision=np.full(10, 'keep'),
    )
    if clean:
        table['clean_label'] = rng.integers(0, 3, 10)
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    header = [*(name for name in table if name != 'clean_label'), 'clean_label']
    named = classes is not None and classes[0] == 'x'
    writer.writerow(header + ['given_class', 'suggested_class'] * named)
    for row in range(10):
        fields = [
            f'{value:.6g}'
            if isinstance(value, float)
            else int(value)
            if isinstance(value, bool)
            else value
            for value in (
                table[name][row : row + 1].tolist()[0] for name in header[:-1]
            )
        ]
        fields.append(table['clean_label'][row] if clean else '')
        if named:
            for name in ('given_label', 'suggested_label'):
                label = table[name][row]
                fields.append('' if label < 0 else classes[label])
        writer.writerow(fields)
    assert format_table(table, classes) == text.getvalue().encode()


MISTAKES = {
    'no sample of the data set has this number': replaced(2, '1,b', '7,b'),
    'no sample of the data set has': replaced(3, '2,c', '2,x'),
    'sample 0 is also in line 2': lambda lines: [*lines[:4], lines[1], *lines[5:]],
    'its given label is 2 in the table and 0': replaced(5, '4,e,0', '4,e,2'),
    'suggested_label 9 is outside': replaced(3, ',2,relabel', ',9,relabel'),
}
LINES = dict(zip(MISTAKES, (3, 4, 5, 6, 4)))


@pytest.mark.parametrize('pair', list(itertools.combinations(MISTAKES, 2)))
def test_the_first_of_two_mistakes_is_named(tmp_path, pair):
    def change(lines):
        for name in pair:
            lines = MISTAKES[name](lines)
        return lines

    first = min(pair, key=LINES.__getitem__)
    with pytest.raises(ValueError) as caught:
        # Without names of classes, which are compared last.
        read_named(write_named(tmp_path, change), None)
    assert first in str(caught.value)
    assert f'line {LINES[first]}:' in str(caught.value)


# -- formulas -----------------------------------------------------------------------
FORMULAS = [
    '=1+1.png',
    '+a.png',
    '-b.png',
    '@c.png',
    "'=d.png",
    "''-e.png",
    "=cmd|' /C calc'!A0.png",
    '-0.3',
    'plain.png',
    "'quoted.png",
]
SIGNS = tuple('=+-@')


def formula_table():
    count = len(FORMULAS)
    return {
        'sample_id': np.arange(count),
        'image': np.array(FORMULAS, dtype=object),
        'given_label': np.arange(count) % 3,
        '=note': np.array([f'@{i}' for i in range(count)], dtype=object),
        'margin': np.linspace(-0.5, 0.5, count),
        'va': np.array([f'{-i / 10}' for i in range(count)], dtype=object),
        'noise_score': np.arange(count) / 7 - 1,
        'suggested_label': (np.arange(count) + 1) % 3,
        'decision': np.array(['keep', 'drop', 'relabel', 'keep', 'keep'] * 2),
    }


FORMULA_CLASSES = ('=a()', '-b', "'@c")


def test_no_cell_is_a_formula_and_all_are_read_back(tmp_path):
    table = formula_table()
    path = str(tmp_path / 'sample_scores.csv')
    write_score_table(path, table, FORMULA_CLASSES)
    with open(path, newline='') as file:
        rows = list(csv.reader(file))
    numbers = {'margin', 'va', 'noise_score', 'suggested_label'}
    for row in rows:
        for name, cell in zip(rows[0], row, strict=True):
            if not cell.startswith(SIGNS):
                continue
            assert name in numbers or cell == '-0.3'
            float(cell)
    assert any(row[rows[0].index('margin')].startswith('-') for row in rows)
    found = read_score_table(path)
    assert found['image'].tolist() == FORMULAS
    assert found['=note'].tolist() == table['=note'].tolist()
    assert found['va'].tolist() == table['va'].tolist()
    assert found['given_class'].tolist() == [
        FORMULA_CLASSES[i] for i in table['given_label']
    ]
    # A table that was read and written again is the same, as often as you like.
    again = tmp_path / 'again.csv'
    write_score_table(str(again), found)
    with open(path, 'rb') as file:
        assert again.read_bytes() == file.read()
    ids, given = table['sample_id'], table['given_label']
    decisions = read_decisions(path, FORMULAS, given, ids, 3, FORMULA_CLASSES)
    assert decisions['decision'].tolist() == table['decision'].tolist()


def test_formulas_in_tables_of_version_0_1(tmp_path):
    """They have no apostrophe; a name that has one is still that name."""
    table = formula_table()
    path = tmp_path / 'sample_scores.csv'
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        names = [name for name in table if name != '=note']
        writer.writerow(names)
        writer.writerows(zip(*(table[name].tolist() for name in names)))
    ids, given = table['sample_id'], table['given_label']
    found = read_decisions(str(path), FORMULAS, given, ids, 3, FORMULA_CLASSES)
    assert found['decision'].tolist() == table['decision'].tolist()


# -- tables without sample_id ---------------------------------------------------------
TWICE = ['a.png', 'b.png', 'c.png', 'b.png', 'd.png']
GIVEN = np.array([0, 1, 2, 0, 1])


def by_name(path, rows, names=TWICE, given=GIVEN, ids=None):
    """Read a table of rows (image, given, suggested, decision)."""
    text = ['image,given_label,noise_score,suggested_label,decision']
    text += [f'{a},{b},0.{i},{c},{d}' for i, (a, b, c, d) in enumerate(rows)]
    path.write_text('\n'.join(text) + '\n')
    ids = np.arange(len(names)) if ids is None else ids
    return read_decisions(str(path), names, given, ids, 3, ('x', 'y', 'z'))


def test_table_by_name(tmp_path):
    """In any order; where an image is that of several samples, all agree."""
    found = by_name(
        tmp_path / 't.csv',
        [
            ('./d.png', 1, 2, 'relabel'),
            ('c.png', 2, 0, 'drop'),
            ('b.png', 1, 2, 'keep'),
            ('b.png', 0, 1, 'keep'),
            ('a.png', 0, 1, 'keep'),
        ],
    )
    assert found['sample_id'].tolist() == [0, 1, 2, 3, 4]
    assert found['decision'].tolist() == ['keep', 'keep', 'drop', 'keep', 'relabel']
    assert found['suggested_label'].tolist() == [1, 2, 0, 1, 2]
    assert found['noise_score'].tolist() == [0.4, 0.2, 0.1, 0.3, 0.0]
    assert found['given_label'].tolist() == GIVEN.tolist()
    # Class names, formulas, and a sample that is not in use.
    found = by_name(
        tmp_path / 't.csv',
        [("'=x.png", 'x', 'y', 'relabel'), ('+y.png', 'y', 'z', 'drop')],
        names=['=x.png', '', '+y.png'],
        given=np.array([0, 2, 1]),
        ids=np.array([0, 2]),
    )
    assert found['sample_id'].tolist() == [0, 2]
    assert found['decision'].tolist() == ['relabel', 'drop']


KEPT = [('a.png', 0, 1, 'keep'), ('c.png', 2, 0, 'keep'), ('d.png', 1, 2, 'keep')]


@pytest.mark.parametrize(
    'rows, message',
    [
        (
            [*KEPT, ('b.png', 1, 2, 'keep'), ('b.png', 0, 1, 'drop')],
            "line 6: .*'b.png' has another decision in line 5.*no column sample_id",
        ),
        (
            [*KEPT, ('b.png', 1, 2, 'relabel'), ('./b.png', 0, 1, 'relabel')],
            'another decision in line 5',
        ),
        (
            [*KEPT, ('b.png', 1, 2, 'relabel'), ('b.png', 0, 1, 'keep')],
            'another decision',
        ),
        ([*KEPT, ('b.png', 1, 2, 'keep')], 'sample 3: its given label is 1 in the'),
        ([*KEPT, ('e.png', 1, 2, 'keep')], "line 5: .*no sample .* image 'e.png'"),
        (KEPT, 'lacks 2 of 5 samples, e.g. b.png'),
        ([('a.png', 2, 1, 'keep')], 'sample 0: its given label is 2'),
        ([('a.png', 0, 3, 'relabel')], r'suggested_label 3 is outside \[0, 3\)'),
    ],
)
def test_table_by_name_that_does_not_fit(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message) as error:
        by_name(tmp_path / 't.csv', rows)
    assert str(tmp_path / 't.csv') in str(error.value)


@pytest.mark.parametrize('columns', ['sample_id,', ''])
def test_a_table_that_was_not_opened_as_utf8_says_so(tmp_path, columns):
    image = 'Freude ä/ü 1.png'
    broken = image.encode().decode('cp1252')
    path = tmp_path / 'table.csv'
    number = '0,' if columns else ''

    def read(name):
        path.write_text(
            f'{columns}image,given_label,noise_score,suggested_label,decision\n'
            f'{number}{name},0,0.5,1,keep\n',
            'utf-8-sig',
        )
        args = [image], np.array([0]), np.array([0]), 2
        return read_decisions(str(path), *args)

    assert read(image)['decision'].tolist() == ['keep']
    with pytest.raises(ValueError, match='It may mean .Freude ä/ü 1.png.: .*UTF-8'):
        read(broken)
    with pytest.raises(ValueError, match='was made from another data set'):
        read('Freude ä/ü 2.png')
