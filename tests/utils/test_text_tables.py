"""Reading of text files, tables and class names."""

import codecs
import csv
import io
import os
import time

import numpy as np
import pytest

from mmfer.utils.text_files import Line, clipped, line_error, read_text
from mmfer.utils.text_tables import (
    check_class_names,
    class_index,
    is_foreign_path,
    join_listed,
    parse_flag,
    parse_number,
    parse_numbers,
    parse_whole_number,
    parse_whole_numbers,
    path_key,
    read_class_names,
    read_table,
    relative_path,
    suggest_name,
)

NAMES = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral']


@pytest.fixture
def save(tmp_path):

    def save(text, name='file.txt', encoding='utf-8'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return save


# -- class names -------------------------------------------------------------
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('tail', ['', '\n', '\n\n \t\n'])
def test_class_names(save, encoding, end, tail):
    path = save(end.join(NAMES) + tail.replace('\n', end), encoding=encoding)
    assert read_class_names(path) == NAMES


def test_class_names_of_a_mark_of_the_other_byte_order(save):
    text = codecs.BOM_UTF16_BE + '\n'.join(NAMES).encode('utf-16-be')
    assert read_class_names(save(text)) == NAMES


def test_class_names_in_quotes_and_with_inner_space(save):
    path = save('"very happy"\n  not "so" happy \n"a ""b"""\n')
    assert read_class_names(path) == ['very happy', 'not "so" happy', 'a "b"']


@pytest.mark.parametrize(
    'text', ['a,\nb,\n', 'a;\nb;\n;\n', 'a\t\nb\t\n', 'a\nb\n,\n,,\n', '"a";\n"b";\n']
)
def test_class_names_of_a_spreadsheet(save, text):
    assert read_class_names(save(text)) == ['a', 'b']


@pytest.mark.parametrize(
    'text', ['0,a b\n1,"c"\n', '1;a b\n2;c\n', '0\ta b\n1\tc\n', '"0", a b\n"1", c\n']
)
def test_numbers_in_front_of_class_names(save, text):
    assert read_class_names(save(text)) == ['a b', 'c']


def test_numbers_that_count_nothing_are_names(save):
    for lines in (['3,9', '10,19'], ['0,a', '2,b'], ['0,a', 'b'], ['0', '1']):
        assert read_class_names(save('\n'.join(lines))) == lines


def test_separators_in_class_names_stay(save):
    assert read_class_names(save('a,\nb\n')) == ['a,', 'b']
    assert read_class_names(save('a, b\nc;d\n')) == ['a, b', 'c;d']


@pytest.mark.parametrize(
    'text, parts',
    [
        ('a\nb\na\n', ['line 3', "'a'", 'line 1']),
        ('a\nb\n a \n', ['line 3', 'line 1']),
        ('a\n\nb\n', ['line 2', "''"]),
        ('\na\nb\n', ['line 1']),
        ('a\n""\nb\n', ['line 2']),
        ('', ['no class name', '0 bytes']),
        ('\n \n', ['no class name']),
        ('fear,anger,neutral\n', ['line 1', 'one name per line']),
        ('a\nfr\xf6hlich\n'.encode('latin-1'), ['line 2', '0xf6', 'UTF-8']),
        ('a\nb\n'.encode('utf-16-le'), ['line 1', 'UTF-16', 'UTF-8']),
        ('a\nb\n'.encode('utf-16')[:-1], ['line 2', 'UTF-16']),
        ('a\nb\0\n', ['line 2', 'zero byte']),
        ('a\nb\0\n'.encode('utf-16'), ['line 2', 'NUL']),
        ('a\n\ufeffb\n', ['line 2', 'byte order mark inside']),
    ],
)
def test_bad_class_files(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as caught:
        read_class_names(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_class_names_of_a_list():
    assert check_class_names(('a', 'b')) == ['a', 'b']
    assert check_class_names([1, 2]) == ['1', '2']
    for names, part in (
        ((), 'no class name'),
        (['a', 'b', 'a'], 'name 3'),
        (['a', ''], 'name 2'),
        (['a', ' '], 'name 2'),
        (['a', None], 'None'),
        (['a', True], 'True'),
    ):
        with pytest.raises(ValueError, match=part):
            check_class_names(names)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file of class names'):
        read_class_names(tmp_path / 'none.txt')


# -- lines -------------------------------------------------------------------
@pytest.mark.parametrize(
    'text, lines, newline, final',
    [
        ('a\nb\n', ['a', 'b'], 'LF', True),
        ('a\r\nb', ['a', 'b'], 'CRLF', False),
        ('a\rb\r', ['a', 'b'], 'CR', True),
        ('a\r\rb', ['a', '', 'b'], 'CR', False),
        ('a\nb\r\nc\r', ['a', 'b', 'c'], 'mixed', True),
        ('a\u2028b\x0bc\n', ['a\u2028b\x0bc'], 'LF', True),
        ('', [], 'LF', False),
        ('a', ['a'], 'LF', False),
    ],
)
def test_lines(save, text, lines, newline, final):
    found = read_text(save(text))
    assert (found.lines, found.newline) == (lines, newline)
    assert found.final_newline is final


# -- fields ------------------------------------------------------------------
@pytest.mark.parametrize(
    'text, value',
    [
        ('3', 3),
        (' 3 ', 3),
        ('+3', 3),
        ('-3', -3),
        ('3.0', 3),
        ('3.', 3),
        ('03', 3),
        ('3.5', None),
        ('1e3', None),
        ('1_000', None),
        ('nan', None),
        ('inf', None),
        ('', None),
        ('\u0663', None),
        ('\uff13', None),
        ('\u00b2', None),
        ('0x3', None),
        ('True', None),
        ('3 0', None),
        ('3,0', None),
        ('9' * 5000, None),
    ],
)
def test_whole_number(text, value):
    assert parse_whole_number(text) == value


def test_decimal_comma():
    assert parse_whole_number('3,0', decimal_comma=True) == 3
    assert parse_whole_number('3,5', decimal_comma=True) is None
    assert parse_number('0,25', decimal_comma=True) == 0.25
    assert parse_number('-1,5e-3', decimal_comma=True) == -0.0015
    assert parse_number('0,25') is None
    assert parse_number('1,000,5', decimal_comma=True) is None


@pytest.mark.parametrize(
    'text, value',
    [
        ('0.5', 0.5),
        ('.5', 0.5),
        ('-1e-3', -0.001),
        ('7', 7.0),
        ('inf', np.inf),
        ('1_0', None),
        ('\u0663', None),
        ('', None),
        ('x', None),
        ('1,5', None),
    ],
)
def test_number(text, value):
    assert parse_number(text) == value


def test_number_nan():
    assert np.isnan(parse_number('NaN'))


@pytest.mark.parametrize(
    'text, value',
    [
        ('True', True),
        ('TRUE ', True),
        ('1', True),
        ('1.0', True),
        ('yes', True),
        ('false', False),
        ('0', False),
        ('0.0', False),
        ('No', False),
        ('', None),
        ('WAHR', None),
        ('2', None),
        ('nan', None),
        ('None', None),
        ('y', None),
    ],
)
def test_flag(text, value):
    assert parse_flag(text) is value


def test_class_index():
    classes = ['fear', 'Anger', 'anger', 'very happy']
    assert class_index('fear', classes) == 0
    assert class_index(' FEAR ', classes) == 0
    assert class_index('anger', classes) == 2
    # Two classes fit, so none is chosen.
    assert class_index('ANGER', classes) is None
    assert class_index('joy', classes) is None
    assert "Did you mean 'very happy'?" in suggest_name('very hapy', classes)


@pytest.mark.parametrize(
    'path',
    ['d/a.jpg', './d/a.jpg', 'd//a.jpg', 'd\\a.jpg', 'e/../d/a.jpg', '.\\d\\.\\a.jpg'],
)
def test_path_key(path):
    assert path_key(path) == 'd/a.jpg'


def test_path_key_tells_paths_apart():
    assert len(set(map(path_key, ['a', '/a', '../a', 'A', 'a.b']))) == 5


@pytest.mark.skipif(os.name == 'nt', reason='of systems with one separator')
def test_join_listed(tmp_path):
    root = str(tmp_path)
    assert join_listed(root, 'd\\a.jpg') == f'{root}/d/a.jpg'
    (tmp_path / 'd\\a.jpg').write_text('')
    assert join_listed(root, 'd\\a.jpg') == f'{root}/d\\a.jpg'
    for path in ('C:\\a.jpg', 'c:/a.jpg', '\\\\server\\a.jpg'):
        assert is_foreign_path(path)
    for path in ('/a.jpg', 'a\\b.jpg', 'C:a.jpg', 'ab:/c.jpg'):
        assert not is_foreign_path(path)


# -- tables ------------------------------------------------------------------
COLUMNS = dict(name=['name', 'image'], vote=['vote'], note=['note'])


def read(path, **kwargs):
    kwargs.setdefault('optional', ['note'])
    return read_table(path, COLUMNS, 'table of votes', **kwargs)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('separator', [',', ';', '\t'])
def test_table(save, encoding, end, separator):
    rows = [
        ['Name', 'vote', 'note'],
        ['a "b".jpg', '3', ''],
        [f'c{separator}d.jpg', '4.0', 'x'],
        ['gr\xfcn', '5', ''],
    ]
    text = io.StringIO(newline='')
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(rows)
    table = read(save(text.getvalue(), encoding=encoding))
    assert table.columns['name'] == [row[0] for row in rows[1:]]
    assert table.whole_numbers('vote') == [3, 4, 5]
    assert table.columns['note'] == ['', 'x', '']
    assert table.separator == separator
    assert table.line_numbers == [2, 3, 4]
    assert table.index is None and len(table) == 3


@pytest.mark.parametrize(
    'text',
    [
        'vote,name\n3,a\n4,b\n',
        'more,vote,name\nx,3,a\ny,4,b\n',
        'VOTE , Image\n3,a\n4,b\n',
        'name,vote,\na,3,\nb,4,\n',
        'name,vote\na,3\nb,4,,\n',
        'name,vote\n\na,3\n,\nb,4\n,\n ,\n',
        '"name","vote"\n"a","3"\n"b","4"\n',
        'sep=;\nname;vote\na;3\nb;4\n',
        '"sep=\t"\nname\tvote\na\t3\nb\t4\n',
        # A spreadsheet does not write empty fields at the end of a row.
        'name,vote,note\na,3\nb,4\n',
    ],
)
def test_forms_of_a_table(save, text):
    table = read(save(text))
    assert table.columns['name'] == ['a', 'b']
    assert table.whole_numbers('vote') == [3, 4]
    assert table.index is None


@pytest.mark.parametrize(
    'text',
    [
        ',name,vote\n7,a,3\n5,b,4\n',
        'Unnamed: 0,name,vote\n7,a,3\n5,b,4\n',
        'index;name;vote\n7;a;3\n5;b;4\n',
        '\tname\tvote\n7\ta\t3\n5\tb\t4\n',
        # R writes no header for the row names, and may separate by spaces.
        'name,vote\n7,a,3\n5,b,4\n',
        '"name" "vote"\n"7" "a" 3\n"5" "b" 4\n',
    ],
)
def test_index_column(save, text):
    table = read(save(text))
    assert table.columns['name'] == ['a', 'b']
    assert table.whole_numbers('vote') == [3, 4]
    assert table.index == ['7', '5']


def test_unknown_columns(save):
    path = save('name,age,vote\na,9,3\n')
    assert read(path).others == {}
    assert read(path, others='keep').others == dict(name=['a'], age=['9'], vote=['3'])
    with pytest.raises(ValueError, match="line 1: .*column 'age'"):
        read(path, others='refuse')


def test_table_without_header(save):
    kwargs = dict(headless=['vote', 'x', 'name'])
    for separator in ',;\t':
        path = save(separator.join('3xa') + '\n' + separator.join('4xb'))
        table = read(path, **kwargs)
        assert table.columns['name'] == ['a', 'b']
        assert table.line_numbers == [1, 2]
    assert read(save('name,vote\na,3\n'), **kwargs).columns['name'] == ['a']
    with pytest.raises(ValueError, match='no column name, vote'):
        read(save('a,3\n'), **kwargs)


@pytest.mark.parametrize(
    'text, parts',
    [
        ('', ['empty', 'no column name, vote', 'table of votes']),
        ('name|vote\na|3\n', ['line 1', 'no column name, vote', "'name|vote'"]),
        ('name,votes\na,3\n', ['line 1', 'no column vote', "'name', 'votes'"]),
        ('name,vote,vote\na,3,3\n', ["'vote' (number 2)", '(number 3)']),
        ('name,image,vote\na,b,3\n', ["'name'", "'image'"]),
        ('name,vote,x,X\na,3,1,2\n', ["'X' appears twice"]),
        ('name,vote\na,3\nb\n', ['line 3', '1 comma-separated', 'of 2']),
        ('name,vote\na,3\nb,3,4\n', ['line 3', '3 comma-separated', 'of 2']),
        ('name;vote\na;3\nb,3\n', ['line 3', '1 semicolon-separated']),
        ('name,vote\n"a\nb",3\n', ['line 2', 'line break']),
        ('name,vote\na,3\n"b,3\nc,4\n', ['line 3', 'line break']),
        ('name,vote\n"a"b,3\n', ['line 2', 'closing quote']),
        ('name,vote\n' + 'a' * 200000 + ',3\n', ['line 2', 'longer than']),
        ('name,vote\na,3\nb\0,3\n', ['line 3', 'zero byte']),
        ('name,vote\na,3\n\xfc,3\n'.encode('latin-1'), ['line 3', '0xfc']),
        ('name,vote\na,3\n'.encode('utf-16-be'), ['line 1', 'UTF-16']),
        (b'\x89PNG\r\n\x1a\n\0\0', ['line', 'UTF-8']),
    ],
)
def test_bad_tables(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as caught:
        read(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize('vote', ['1e3', 'nan', '\u0663', '1_000', '', 'x', '2.5'])
def test_votes_that_are_not_whole(save, vote):
    table = read(save(f'name,vote\n\na,3\nb,{vote}\n'))
    with pytest.raises(ValueError) as caught:
        table.whole_numbers('vote')
    for part in (
        table.path,
        'line 4',
        repr(f'b,{vote}'),
        f'vote is {vote!r}',
        'whole number',
    ):
        assert part in str(caught.value)


def test_decimal_commas_of_a_table(save):
    assert read(save('name;vote\na;0,5\nb;2,0\n')).numbers('vote') == [0.5, 2]
    with pytest.raises(ValueError, match='no number'):
        read(save('name,vote\na,"0,5"\n')).numbers('vote')


# -- whole columns, against one field after another -----------------------------
FIELDS = (
    *(
        '3',
        '+3',
        '-0',
        '3.0',
        '3.',
        '.5',
        '1e3',
        '1E-3',
        '0,5',
        '1_0',
        '1_000',
        '',
        ' 7 ',
    ),
    *(
        'nan',
        'inf',
        '-inf',
        '--1',
        '1-2',
        '+',
        'e',
        '.',
        '1e',
        '0x1',
        '\u0663',
        '1' * 40,
    ),
    *('1' * 41, '1' * 400, '-' + '9' * 41, '1e400', '007', '1 2', '3\n'),
)


@pytest.mark.parametrize('decimal_comma', [False, True])
def test_columns_of_numbers(decimal_comma):
    """Single fields, pairs, and a column of plain fields with one other field."""
    plain = ['12', '-3', '0']
    columns = [[], plain]
    columns += [[a] for a in FIELDS] + [[*plain, a, *plain] for a in FIELDS]
    columns += [[a, b] for a in FIELDS for b in FIELDS]
    for many, one in (
        (parse_numbers, parse_number),
        (parse_whole_numbers, parse_whole_number),
    ):
        for column in columns:
            expected = [one(field, decimal_comma) for field in column]
            found = many(column, decimal_comma)
            assert list(map(repr, found)) == list(map(repr, expected)), column


PARTS = ('a', 'b', '.', '..', '', '..a', '.b', 'a b', '\u00e4')


def test_relative_paths():
    """The same as os.path.relpath, for every path of up to four parts."""
    rng = np.random.default_rng(0)
    for _ in range(4000):
        path, start = (
            rng.choice(['', '/'])
            + '/'.join(rng.choice(PARTS, rng.integers(1, 5)))
            + rng.choice(['', '/'])
            for _ in range(2)
        )
        for joined in (path, f'{start}{path}', os.path.join(start, path)):
            if joined:
                assert relative_path(joined, start) == os.path.relpath(
                    joined, start or os.curdir
                ), (joined, start)


def test_fields_of_many_digits_take_no_time():
    """The pattern of a number once tried every way to share out the digits."""
    start = time.process_time()
    for end in ('x', '.x', 'e', ',', '-'):
        assert parse_number('1' * 200_000 + end) is None
    assert time.process_time() - start < 1


def test_whole_numbers_that_do_not_fit(tmp_path):
    path = tmp_path / 'a.csv'
    for number in (2**62, -(2**62)):
        path.write_text(f'n\n1\n{number}\n')
        assert read_table(path, dict(n=['n']), 'x').whole_numbers('n') == [1, number]
        path.write_text(f'n\n1\n{2 * number + 1}\n')
        with pytest.raises(ValueError, match='a.csv, line 3: .*too many digits'):
            read_table(path, dict(n=['n']), 'x').whole_numbers('n')


def test_messages_have_an_end():
    long = 'x' * 300_000
    assert clipped('x' * 200) == 'x' * 200
    assert clipped('a' + long + 'b')[0] == 'a' and clipped('a' + long + 'b')[-1] == 'b'
    text = str(line_error('a.csv', Line(3, long, long), long, f'Remove {long}.'))
    assert text.startswith("a.csv, line 3: 'xx") and len(text) < 3000
