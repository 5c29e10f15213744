import dataclasses
import logging
import os

import numpy as np
import pytest

from mmfer.datasets.lists import read_label_list, read_va_list, write_label_list


@pytest.mark.parametrize(
    'text, names',
    [
        ('a.jpg 0\nb.jpg 2\n', ('a.jpg', 'b.jpg')),
        ('a.jpg\t0\nb.jpg\t\t2', ('a.jpg', 'b.jpg')),
        ('  a.jpg 0  \n\n \nb.jpg 2\n\n', ('a.jpg', 'b.jpg')),
        ('# a list\na.jpg 0\n#x.jpg 1\nb.jpg 2\n', ('a.jpg', 'b.jpg')),
        ('my face.jpg 0\nthe  other.jpg 2\n', ('my face.jpg', 'the  other.jpg')),
        ('a, b.jpg 0\nc.jpg 2\n', ('a, b.jpg', 'c.jpg')),
        ('a.jpg,0\nb.jpg, 2\n', ('a.jpg', 'b.jpg')),
        ('image,label\na.jpg,0\nb.jpg,2\n', ('a.jpg', 'b.jpg')),
        ('Image, Label\r\na b.jpg,0\r\nb.jpg,2\r\n', ('a b.jpg', 'b.jpg')),
        ('image,label\n"a, b.jpg",0\nc.jpg,2\n', ('a, b.jpg', 'c.jpg')),
        ('\ufeffa.jpg 0\nb.jpg 2\n', ('a.jpg', 'b.jpg')),
        ('gr\u00fcn.jpg 0\nb\u2028c.jpg 2\n', ('gr\u00fcn.jpg', 'b\u2028c.jpg')),
        ('x/a.jpg 0\ny/b.jpg 2\n', ('a.jpg', 'b.jpg')),
    ],
)
def test_plain(save, text, names):
    found = read_label_list(save(text), 3)
    assert found.format == 'plain'
    assert found.names == names
    assert found.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    'text, newline',
    [
        ('a 0\nb 1\n', 'LF'),
        ('a 0\r\nb 1\r\n', 'CRLF'),
        ('a 0\r\nb 1', 'CRLF'),
        ('a 0\nb 1\r\n', 'mixed'),
        ('a 0', 'LF'),
        ('a 0\rb 1\r', 'CR'),
    ],
)
def test_newline(save, text, newline):
    found = read_label_list(save(text), 2)
    assert found.newline == newline
    assert found.names[0] == 'a'


def test_label_list_is_frozen(save):
    found = read_label_list(save('a 0\nb 1'), 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.labels = None
    with pytest.raises(ValueError):
        found.labels[0] = 1


SEVEN = tuple(f'{i}.jpg' for i in range(7))

NAMES = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'very happy']


def listed(start, row, end='\n', values=range(7)):
    return (
        start
        + end
        + ''.join(
            row.format(i, f'{i}.jpg', value) + end for i, value in enumerate(values)
        )
    )


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize(
    'text',
    [
        listed('image;label', '{1};{2}', '\r\n'),
        listed('image\tlabel', '{1}\t{2}', '\r\n'),
        listed('"image","label"', '"{1}","{2}"'),
        listed('', '"{1}";"{2}"'),
        listed('"image" "label"', '"{0}" "{1}" {2}'),
        listed('', '"{1}" "{2}"'),
        listed(',image,label', '{0},{1},{2}'),
        listed('Unnamed: 0;Path;Emotion', '{0};{1};{2}'),
        listed('\timage\tlabel', '{0}\t{1}\t{2}'),
        listed('', '{0},{1},{2}'),
        listed('path,emotion', '{1},{2}'),
        listed('Class,File Name', '{2},{1}'),
        listed('expression img_path', '{2} {1}'),
        listed('filename label', '{1} {2}'),
        listed('image,label', '{1},{2}.0'),
        listed('image;label', '{1};{2},0'),
        listed('image,label,', '{1},{2},'),
        listed('', '{1};{2};'),
        listed('', '{1} {2}', '\r'),
        listed('sep=;', '{1};{2}'),
        listed('image,label', '{1},{2}') + ',\n,\n',
        listed('# made by hand\nimage,label', '{1},{2}'),
    ],
)
def test_other_programs(save, text, encoding):
    found = read_label_list(save(text.encode(encoding)), 7, by_path=True)
    assert found.paths == SEVEN
    assert found.labels.tolist() == list(range(7))
    assert not found.by_name


@pytest.mark.parametrize(
    'text',
    [
        listed('', '{1},{2}', values=NAMES),
        listed('', '{1} {2}', values=NAMES),
        listed('', '{1}\t{2}', values=NAMES),
        listed('Label;Image', '{2};{1}', values=NAMES),
        listed('', '"{1}","{2}"', values=[name.title() for name in NAMES]),
    ],
)
def test_class_names_as_labels(save, text):
    found = read_label_list(save(text), 7, classes=NAMES)
    assert found.names == SEVEN
    assert found.labels.tolist() == list(range(7))
    assert found.by_name and found.label_base == 0


@pytest.mark.parametrize(
    'text, parts',
    [
        ('img,emo\na,0\nb,6\n', ['line 1', "'emo'", 'header', 'or path', 'or emotion']),
        ('image,label,age\na,0,3\n', ['line 1', "column 'age'", 'remove']),
        ('image,label,label\na,0,0\n', ['line 1', 'number 2', 'number 3']),
        ('path,file,label\na,b,0\n', ['line 1', "'path'", "'file'"]),
        ('image,label\na,0\nb\n', ['line 3', '1 comma-separated']),
        ('image,label\na,0\nb,6,9\n', ['line 3', '3 comma-separated']),
        ('a,0\nb;6\n', ['line 2', '1 comma-separated', 'commas']),
        ('a;0\nb,6\n', ['line 2', '1 semicolon-separated']),
        ('0\ta\t0\n1\tb\t6\n', ['line 1', '3 tab-separated']),
        ('"a\nb.jpg",0\nc.jpg,6\n', ['line 1', 'line break']),
        ('a.jpg,0\n"b.jpg,6\n', ['line 2', 'line break']),
        ('a,0\n"b"c,6\n', ['line 2', 'closing quote']),
        ('a 0\nb\0 6\n', ['line 2', 'zero byte']),
        ('a 0\nb 6\n'.encode('utf-16-le'), ['line 1', 'UTF-16']),
        ('gr\xfcn 0\n'.encode('latin-1'), ['line 1', '0xfc', 'UTF-8']),
        ('a 0\n\ufeffb 6\n', ['line 2', 'byte order mark']),
        (b'\xef\xbb\xbf', ['no rows (3 bytes)']),
        (';;\n;\n', ['no rows']),
    ],
)
def test_hostile_lists(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as info:
        read_label_list(path, 7)
    for part in [str(path), *parts]:
        assert part in str(info.value)


def test_hash_in_front(save, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmfer.utils.text_lists.print_log',
        lambda text, *_, level, **__: said.append((text, level)),
    )
    path = save('# seed 3\n#a.jpg 1\nb.jpg 0\n./#c.jpg 2\n')
    found = read_label_list(path, 3, by_path=True, root=str(tmp_path))
    assert found.paths == ('b.jpg', './#c.jpg')
    ((text, level),) = said
    assert level == logging.WARNING
    for part in (str(path), '2 line(s)', 'line 2', '#a.jpg 1', './'):
        assert part in text
    # The image exists, so the line is its row.
    (tmp_path / '#a.jpg').write_text('')
    found = read_label_list(path, 3, by_path=True, root=str(tmp_path))
    assert found.paths == ('#a.jpg', 'b.jpg', './#c.jpg')
    assert found.labels.tolist() == [1, 0, 2]
    assert '1 line(s)' in said[1][0] and said[1][1] == logging.INFO


@pytest.mark.parametrize(
    'text, parts',
    [
        ('a.jpg 0\nb.jpg x\n', ['line 2', "'b.jpg x'", 'not an integer']),
        ('# c\n\na.jpg 0\nb.jpg 1.5\n', ['line 4', "'b.jpg 1.5'", "'1.5'"]),
        ('a.jpg 0\nb.jpg -1\n', ['line 2', "'b.jpg -1'", 'negative']),
        ('a.jpg 0\r\nb.jpg 9\r\n', ['line 2', "'b.jpg 9'", 'out of range']),
        (f'a.jpg 0\nb.jpg {10**30}\n', ['line 2', 'out of range']),
        ('a.jpg 0\nb.jpg\n', ['line 2', "'b.jpg'", 'no label']),
        ('a.jpg 0\nb.jpg 1\na.jpg 1\n', ['line 3', "'a.jpg 1'", 'line 1', "'a.jpg 0'"]),
        ('x/a.jpg 0\ny/a.jpg 1\n', ['line 2', "'y/a.jpg 1'", 'line 1']),
        (
            'train_00001.jpg 0\ntrain_00001_aligned.jpg 1\n',
            ['line 2', 'already has a label in line 1'],
        ),
        ('a.jpg,0\nb.jpg 1\n', ['line 2', "'b.jpg 1'", '1 comma-separated']),
        ('image,label\na,b.jpg,1\n', ['line 2', '3 comma-separated', 'quote']),
        ('image,label\n', ['header but no rows']),
        (',0\nb.jpg,1\n', ['line 1', 'no image name']),
        ('train_00001.jpg -0.341 -0.129\n', ['line 1', 'read_va_list']),
        ('', ['no rows (0 bytes)']),
        ('\n# nothing\n', ['no rows']),
        (b'a.jpg 0\nb\xff.jpg 1\n', ['line 2', '0xff', 'UTF-8']),
    ],
)
def test_bad_lists(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as info:
        read_label_list(path, 7)
    for part in [str(path), *parts]:
        assert part in str(info.value)


@pytest.mark.parametrize('read', [lambda p: read_label_list(p, 7), read_va_list])
def test_missing_file(tmp_path, read):
    for path in (tmp_path / 'none.txt', tmp_path):
        with pytest.raises(FileNotFoundError, match='no such (label )?list') as e:
            read(path)
        assert str(path) in str(e.value)


def test_written_paths_read_back(tmp_path):
    names = [
        's 1/a,b;c.jpg',
        '#x/d.jpg',
        '#e.jpg',
        'f "g".jpg',
        '"h".jpg',
        'i 3',
        'image',
        'k\\l.jpg',
        "m'n",
        'gr\u00fcn\u2028.jpg',
    ]
    path = tmp_path / 'list.txt'
    write_label_list(path, names, np.arange(10), by_path=True)
    found = read_label_list(path, 10, by_path=True)
    assert [x.removeprefix('./') for x in found.paths] == names
    assert found.labels.tolist() == list(range(10))


@pytest.mark.parametrize('name', ['a\tb', '"a"', 'a;', '#a', '\ufeffa', 'a\0'])
def test_names_that_would_not_be_read_back(tmp_path, name):
    with pytest.raises(ValueError, match='would not be read back'):
        write_label_list(tmp_path / 'list.txt', ['b', name], [0, 1])


@pytest.mark.parametrize('base', [0, 1])
def test_written_list_reads_back(tmp_path, base):
    names = ('a.jpg', 'my  face, new.jpg', 'gr\u00fcn.jpg', '"q".jpg')
    labels = np.array([0, 6, 3, 3])
    path = tmp_path / 'list.txt'
    write_label_list(path, names, labels, label_base=base)
    found = read_label_list(path, 7)
    assert found.names == names
    assert (found.labels == labels).all()
    assert (found.label_base, found.newline) == (base, 'LF')
    assert found.final_newline
    assert os.listdir(tmp_path) == ['list.txt']


def test_write_replaces_and_is_readable_by_others(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_text('old\n')
    write_label_list(str(path), ['a.jpg', 'b.jpg'], [0, 1])
    assert path.read_bytes() == b'a.jpg 0\nb.jpg 1\n'
    # The file has the permissions of any new file, not of a temporary one.
    (tmp_path / 'other').write_text('')
    assert path.stat().st_mode == (tmp_path / 'other').stat().st_mode


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'list.txt'
    path.write_text('a.jpg 0\n')

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='disk full'):
        write_label_list(path, ['b.jpg'], [1])
    assert path.read_text() == 'a.jpg 0\n'
    assert os.listdir(tmp_path) == ['list.txt']


@pytest.mark.parametrize(
    'names, labels, message',
    [
        (['a', 'b'], [0], r'2 names and labels of shape \(1,\)'),
        ([], [], 'at least one'),
        (['a', 'b'], [0.0, 1.0], 'dtype float64'),
        (['a', 'b'], [0, -1], 'start at -1'),
        (['a', 'a'], [0, 1], 'line 2.*line 1'),
        (['x/a', 'y/a'], [0, 1], 'line 2.*line 1'),
        (['a', '#b'], [0, 1], "'#b' would not be read back"),
        (['a', ' b'], [0, 1], 'would not be read back'),
        (['a', 'b\nc'], [0, 1], 'would not be read back'),
        (['a,', 'b'], [0, 1], 'would not be read back'),
        (['', 'b'], [0, 1], 'would not be read back'),
    ],
)
def test_write_refuses(tmp_path, names, labels, message):
    with pytest.raises(ValueError, match=message):
        write_label_list(tmp_path / 'list.txt', names, labels)
    assert not os.listdir(tmp_path)


def test_write_refuses_other_bases(tmp_path):
    with pytest.raises(ValueError, match='neither 0 nor 1'):
        write_label_list(tmp_path / 'list.txt', ['a'], [0], label_base=2)


def test_header_of_a_labelling_program(tmp_path):
    """A header with some known columns: the message names the missing one."""
    path = tmp_path / 'list.csv'
    path.write_text('annotation_id,choice,id,image\n1,happy,7,a.png\n')
    with pytest.raises(
        ValueError,
        match='line 1: .*the header has no column '
        "label; its columns are 'annotation_id', 'choice'",
    ):
        read_label_list(path, 2, classes=['happy', 'sad'])
    # A row that consists of possible column names is still a row.
    path.write_text('name,happy\nimage,sad\n')
    rows = read_label_list(path, 2, classes=['happy', 'sad'])
    assert rows.names == ('name', 'image')
