import dataclasses
import logging
import os

import numpy as np
import pytest

from mmfer.datasets.lists import (
    RAFDB_CLASS_COUNTS,
    merge_rafdb_train_labels,
    rafdb_key,
    rafdb_split_rows,
    read_label_list,
    read_va_list,
    write_label_list,
)

TRAIN = [f'train_{i:05d}.jpg' for i in range(1, 8)]
TEST = [f'test_{i:04d}.jpg' for i in range(1, 4)]
# 1-based, as RAF-DB writes them.
CLEAN = [5, 5, 4, 1, 7, 2, 3]
NOISY = [5, 1, 4, 1, 7, 6, 3]
OWN = 'list_patition_label.txt'


@pytest.fixture
def save(tmp_path):

    def save(text, name='list.txt'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return save


def rows(names, labels, end='\n', final=True):
    text = end.join(f'{n} {y}' for n, y in zip(names, labels, strict=True))
    return text + end * final


def complete_rafdb(flip=0.0, splits=('train', 'test'), seed=0):
    """Rows of the size and class counts of RAF-DB, 1-based."""
    rng = np.random.default_rng(seed)
    names, labels = [], []
    for split, digits in (('train', 5), ('test', 4)):
        own = rng.permutation(np.repeat(np.arange(7), RAFDB_CLASS_COUNTS[split]))
        changed = rng.random(own.size) < flip * (split in splits)
        own = np.where(changed, (own + rng.integers(1, 7, own.size)) % 7, own)
        names += [f'{split}_{i:0{digits}d}.jpg' for i in range(1, own.size + 1)]
        labels += (own + 1).tolist()
    return rows(names, labels)


def test_class_counts_are_complete():
    assert sum(RAFDB_CLASS_COUNTS['train']) == 12271
    assert sum(RAFDB_CLASS_COUNTS['test']) == 3068


# The published forms.


@pytest.mark.parametrize('end, newline', [('\n', 'LF'), ('\r\n', 'CRLF')])
@pytest.mark.parametrize('final', [True, False])
def test_resup(save, end, newline, final):
    path = save(rows(TRAIN + TEST, NOISY + [1, 7, 4], end, final), '0.1noise.txt')
    found = read_label_list(path, 7)
    assert found.format == 'resup'
    assert found.names == tuple(TRAIN + TEST)
    assert found.labels.tolist() == [y - 1 for y in NOISY] + [0, 6, 3]
    assert found.labels.dtype == np.int64
    assert found.label_base == 1
    assert found.newline == newline
    assert found.final_newline is final
    assert found.num_classes == 7
    assert found.path == str(path)
    assert len(found) == 10


@pytest.mark.parametrize('final', [True, False])
def test_eac(save, final):
    found = read_label_list(save(rows(TRAIN, NOISY, final=final)), 7)
    assert (found.format, found.label_base) == ('eac', 1)
    assert len(found) == len(TRAIN)
    assert found.labels[-1] == 2


def test_scn(save):
    names = [f'/home/some one/aligned/{x[:-4]}_aligned.jpg' for x in TRAIN]
    zero_based = [y - 1 for y in NOISY]
    found = read_label_list(save(rows(names, zero_based, '\r\n')), 7)
    assert (found.format, found.label_base) == ('scn', 0)
    assert found.newline == 'CRLF'
    assert found.names[0] == 'train_00001_aligned.jpg'
    assert found.paths[0] == names[0]
    assert found.labels.tolist() == zero_based


def test_backslashes_separate_folders_too(save):
    text = 'D:\\raf\\train_00001_aligned.jpg 0\nD:\\raf\\a b.jpg 1\n'
    found = read_label_list(save(text), 2)
    assert found.names == ('train_00001_aligned.jpg', 'a b.jpg')


def test_jointgan(save):
    path = save(rows(TRAIN + TEST, NOISY + [1, 7, 4]), 'list_label_AffectnetModel.txt')
    assert read_label_list(path, 7).format == 'jointgan'


@pytest.mark.parametrize('name', [OWN, 'list_partition_label.txt'])
def test_rafdb_by_name(save, name):
    path = save(rows(TRAIN + TEST, CLEAN + [1, 7, 4]), name)
    found = read_label_list(path, 7)
    assert (found.format, found.label_base) == ('rafdb', 1)


def test_rafdb_by_content(save):
    found = read_label_list(save(complete_rafdb(), 'copy.txt'), 7)
    assert found.format == 'rafdb'
    assert rafdb_split_rows(found, 'test').size == 3068


@pytest.mark.parametrize(
    'flip, splits',
    [
        (0.02, ('train', 'test')),
        (0.1, ('train',)),
        (0.1, ('test',)),
        (0.5, ('train', 'test')),
    ],
)
def test_noisy_list_under_the_name_of_the_original(save, flip, splits):
    path = save(complete_rafdb(flip, splits), OWN)
    found = read_label_list(path, 7)
    assert found.format == 'resup'
    with pytest.raises(ValueError, match='cannot be evaluated on'):
        rafdb_split_rows(found, 'test')
    with pytest.raises(ValueError, match="not RAF-DB's own labels"):
        read_label_list(path, 7, format='rafdb')


def test_format_can_be_given(save):
    path = save(rows(TRAIN + TEST, CLEAN + [1, 7, 4]), 'part.txt')
    assert read_label_list(path, 7).format == 'resup'
    assert read_label_list(path, 7, format='rafdb').format == 'rafdb'
    with pytest.raises(ValueError, match='none of'):
        read_label_list(path, 7, format='raf')
    path = save('a.jpg 0\nb.jpg 1\n')
    with pytest.raises(ValueError, match=r"'a\.jpg' is not named"):
        read_label_list(path, 2, format='eac')


# Plain lists.


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


def test_rafdb_names_in_another_form_are_plain(save):
    # 0-based with test rows: nobody's published form, and not evaluated on.
    found = read_label_list(save(rows(TRAIN + TEST, range(10))), 10)
    assert found.format == 'plain'
    with pytest.raises(ValueError, match='cannot be evaluated on'):
        rafdb_split_rows(found, 'test')


def test_label_list_is_frozen(save):
    found = read_label_list(save('a 0\nb 1'), 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.labels = None
    with pytest.raises(ValueError):
        found.labels[0] = 1


# What spreadsheets and other programs save.


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


def test_numbers_stay_numbers_where_classes_have_names(save):
    found = read_label_list(save('a 1\nb 7\n'), 7, classes=NAMES)
    assert found.labels.tolist() == [0, 6] and not found.by_name


def test_classes_that_are_numbers(save):
    one_to_seven = list('1234567')
    for labels, result in (
        ([1, 7], [0, 6]),
        ([0, 6], [0, 6]),
        # By name, as they fit 0 as well as 1.
        ([1, 3], [0, 2]),
    ):
        path = save(rows('ab', labels))
        found = read_label_list(path, 7, classes=one_to_seven)
        assert found.labels.tolist() == result
    path = save('a 10\nb 30\n')
    found = read_label_list(path, 3, classes=['30', '20', '10'])
    assert found.labels.tolist() == [2, 0]
    path = save('a 1\nb 3\n')
    with pytest.raises(ValueError, match='line 1.*not in the order of their'):
        read_label_list(path, 3, classes=['3', '1', '2'])
    found = read_label_list(path, 3, 1, classes=['3', '1', '2'])
    assert found.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    'text, parts',
    [
        ('a,fear\nb,angre\n', ['line 2', "'angre'", "mean 'anger'"]),
        ('a,joy\n', ['line 1', "'joy'", 'Known are surprise']),
        ('a,fear\nb,3\n', ['line 2', "'3' is a number", 'names of classes']),
        ('a,3\nb,fear\n', ['line 1', "'3' is a number"]),
        ('a,fear\nb,\n', ['line 2', "''"]),
        ('a;fearful\nb;angry\n', ['line 1', "'fearful'"]),
    ],
)
def test_bad_class_names_as_labels(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as info:
        read_label_list(path, 7, classes=NAMES)
    for part in [str(path), *parts]:
        assert part in str(info.value)
    with pytest.raises(ValueError, match='classes=|a number|not an integer'):
        read_label_list(path, 7)


@pytest.mark.parametrize(
    'label',
    ['1e3', 'nan', '\u0663', '1_000', '0x1', '', '1.5', 'True', 'inf', '9' * 5000],
)
def test_labels_that_are_not_whole(save, label):
    path = save(f'a.jpg,0\nb.jpg,{label}\nc.jpg,6\n')
    with pytest.raises(ValueError, match=r'line 2: .*not an integer'):
        read_label_list(path, 7)


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


@pytest.mark.parametrize(
    'first, second',
    [
        ('a.jpg', './a.jpg'),
        ('a.jpg', 'd/../a.jpg'),
        ('d/a.jpg', 'd\\a.jpg'),
        ('d/a.jpg', 'd//a.jpg'),
        ('/root/a.jpg', 'a.jpg'),
    ],
)
def test_one_image_by_two_paths(save, first, second):
    path = save(f'{first} 0\n{second} 6\n')
    with pytest.raises(ValueError, match='line 2.*already has a label in line 1'):
        read_label_list(path, 7, by_path=True, root='/root')


@pytest.mark.skipif(os.name == 'nt', reason='there are drives')
def test_paths_of_windows(save):
    for name in ('C:\\x\\a.jpg', 'd:/a.jpg', '\\\\server\\a.jpg'):
        path = save(f'{name} 0\nb.jpg 6\n')
        with pytest.raises(ValueError, match='line 1.*path of Windows.*a.jpg'):
            read_label_list(path, 7, by_path=True)


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
    # The image is there, so the line is its row.
    (tmp_path / '#a.jpg').write_text('')
    found = read_label_list(path, 3, by_path=True, root=str(tmp_path))
    assert found.paths == ('#a.jpg', 'b.jpg', './#c.jpg')
    assert found.labels.tolist() == [1, 0, 2]
    assert '1 line(s)' in said[1][0] and said[1][1] == logging.INFO


def test_va_list_of_a_spreadsheet(save):
    for text in (
        'image;valence;arousal\na b;-0,5;0,25\nc;1,0;0\n',
        'Arousal,Valence,Path\n0.25,-0.5,a b\n0,1.0,c\n',
        'a b;-0.5;0.25\nc;1;0\n',
        '"a b" -0.5 0.25\n"c" 1 0\n',
        ',image,valence,arousal\n0,a b,-.5,.25\n1,c,1,0\n',
    ):
        for encoding in ('utf-8-sig', 'utf-16'):
            names, va = read_va_list(save(text.encode(encoding)))
            assert names == ('a b', 'c')
            assert va.tolist() == [[-0.5, 0.25], [1, 0]]
    for text in ('a 0 1_0\n', 'a 0 \u0663\n'):
        with pytest.raises(ValueError, match='line 1.*no two numbers'):
            read_va_list(save(text))


# Where counting starts.


@pytest.mark.parametrize(
    'labels, base', [([0, 1, 6], 0), ([0, 1, 2], 0), ([1, 2, 7], 1), ([7, 7, 7], 1)]
)
def test_base_is_detected(save, labels, base):
    found = read_label_list(save(rows('abc', labels)), 7)
    assert found.label_base == base
    assert found.labels.tolist() == [y - base for y in labels]


def test_ambiguous_base_has_to_be_given(save):
    path = save(rows('abc', [1, 2, 6]))
    with pytest.raises(ValueError, match=r'1\.\.6.*label_base=0 or') as info:
        read_label_list(path, 7)
    assert str(path) in str(info.value)
    for base in (0, 1):
        found = read_label_list(path, 7, label_base=base)
        assert found.labels.tolist() == [1 - base, 2 - base, 6 - base]
        assert found.label_base == base


def test_contradictory_base(save):
    path = save('a 0\nb 3\n\nc 7\n')
    with pytest.raises(ValueError, match=r"line 4: 'c 7'.*line 1, 'a 0'"):
        read_label_list(path, 7)


@pytest.mark.parametrize(
    'base, labels, message',
    [
        (0, [1, 2, 7], r"line 3: 'c 7'.*outside 0\.\.6"),
        (1, [1, 0, 3], r"line 2: 'b 0'.*outside 1\.\.7"),
        (2, [1, 2, 3], 'neither 0 nor 1'),
    ],
)
def test_given_base_has_to_fit(save, base, labels, message):
    path = save(rows('abc', labels))
    with pytest.raises(ValueError, match=message):
        read_label_list(path, 7, label_base=base)


# What is refused.


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
        with pytest.raises(FileNotFoundError, match='no such label list') as e:
            read(path)
        assert str(path) in str(e.value)


# Valence and arousal.


@pytest.mark.parametrize('end', ['\n', '\r\n'])
def test_va_list(save, end):
    text = end.join(
        [
            'train_00001.jpg -0.3414750397205353 -0.1292310357093811',
            'aligned/my face.jpg 1.2e0 1',
            '',
            'test_0001.jpg -1.09 0.5',
        ]
    )
    names, va = read_va_list(save(text))
    assert names == ('train_00001.jpg', 'my face.jpg', 'test_0001.jpg')
    assert va.dtype == np.float32 and va.shape == (3, 2)
    # As written, not clipped.
    assert va == pytest.approx(
        np.array([[-0.341475, -0.129231], [1.2, 1], [-1.09, 0.5]]), abs=1e-6
    )


def test_va_range(save):
    found = read_va_list(save('a 0.5 1.2\nb -1.09 0\n'))
    assert found.value_range == pytest.approx((-1.09, 1.2))


@pytest.mark.parametrize(
    'text, parts',
    [
        ('a 0.1 0.2\nb 5\n', ['line 2', "'b 5'", 'read_label_list']),
        ('a 0.1 0.2\nb 0.1 x\n', ['line 2', "'b 0.1 x'", 'no two numbers']),
        ('a 0.1 nan\n', ['line 1', 'not finite']),
        ('a 0.1 0.2\nb 0 0\na 0 0\n', ['line 3', 'line 1']),
        ('', ['no rows']),
    ],
)
def test_bad_va_lists(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as info:
        read_va_list(path)
    for part in [str(path), *parts]:
        assert part in str(info.value)


# RAF-DB: names, splits, joining.


@pytest.mark.parametrize(
    'name',
    [
        'train_00001.jpg',
        'train_00001_aligned.jpg',
        'train_00001',
        '/abs/aligned/train_00001_aligned.jpg',
        'D:\\raf\\train_00001.jpg',
        'train_00001.png',
    ],
)
def test_rafdb_key(name):
    assert rafdb_key(name) == 'train_00001'


def test_rafdb_key_of_test_images():
    assert rafdb_key('aligned/test_0012_aligned.jpg') == 'test_0012'


@pytest.mark.parametrize(
    'name',
    [
        'fer_00001.jpg',
        'train_.jpg',
        'my_train_00001.jpg',
        '',
        'train_00001_aligned_2.jpg',
        'train_00001/',
    ],
)
def test_not_a_rafdb_name(name):
    with pytest.raises(ValueError, match='not the name of a RAF-DB image'):
        rafdb_key(name)


@pytest.fixture
def clean(save):
    # Test rows first: rows are found by name, not by position.
    return read_label_list(save(rows(TEST + TRAIN, [1, 7, 4] + CLEAN), OWN), 7)


def test_split_rows(clean):
    assert rafdb_split_rows(clean, 'test').tolist() == [0, 1, 2]
    train = rafdb_split_rows(clean, 'train')
    assert train.tolist() == list(range(3, 10))
    assert clean.labels[train].tolist() == [y - 1 for y in CLEAN]


@pytest.mark.parametrize(
    'name, format',
    [('noise.txt', 'resup'), ('list_label_AffectnetModel.txt', 'jointgan')],
)
def test_no_test_rows_of_a_noisy_list(save, name, format):
    path = save(rows(TRAIN + TEST, NOISY + [1, 7, 4]), name)
    noisy = read_label_list(path, 7)
    assert rafdb_split_rows(noisy, 'train').size == 7
    with pytest.raises(ValueError) as info:
        rafdb_split_rows(noisy, 'test')
    for part in (str(path), format, 'cannot be evaluated on', 'ReSup flips', OWN):
        assert part in str(info.value)


def test_no_empty_split(save):
    train = read_label_list(save(rows(TRAIN, NOISY)), 7)
    with pytest.raises(ValueError, match='no test rows.*own list'):
        rafdb_split_rows(train, 'test')
    test = read_label_list(save(rows(TEST, [1, 7, 4]), OWN), 7)
    with pytest.raises(ValueError, match='no train rows'):
        rafdb_split_rows(test, 'train')


def test_split_of_other_data(save, clean):
    with pytest.raises(ValueError, match='not the name of a RAF-DB image'):
        rafdb_split_rows(read_label_list(save('a 0\nb 1'), 2), 'train')
    with pytest.raises(ValueError, match="neither 'train' nor 'test'"):
        rafdb_split_rows(clean, 'val')


def noisy_forms():
    order = [6, 0, 3, 2, 5, 1, 4]
    names = [TRAIN[i] for i in order]
    labels = [NOISY[i] for i in order]
    aligned = [f'/x/aligned/{n[:-4]}_aligned.jpg' for n in names]
    return {
        'eac': rows(names, labels, final=False),
        'resup': rows(TEST + names, [2, 2, 2] + labels, '\r\n'),
        'scn': rows(aligned, [y - 1 for y in labels], '\r\n'),
    }


@pytest.mark.parametrize('format', ['eac', 'resup', 'scn'])
def test_merge_joins_by_name(save, clean, format):
    noisy = read_label_list(save(noisy_forms()[format]), 7)
    assert noisy.format == format
    merged = merge_rafdb_train_labels(clean, noisy)
    assert merged.dtype == np.int64
    assert merged.tolist() == [y - 1 for y in NOISY]
    # The test labels of the clean list are as they were.
    test = rafdb_split_rows(clean, 'test')
    assert clean.labels[test].tolist() == [0, 6, 3]


def test_merge_needs_every_train_row(save, clean):
    noisy = read_label_list(save(rows(TRAIN[2:], NOISY[2:])), 7)
    with pytest.raises(ValueError) as info:
        merge_rafdb_train_labels(clean, noisy)
    for part in (noisy.path, '2 of 7', 'train_00001, train_00002'):
        assert part in str(info.value)


def test_merge_refuses_unknown_rows(save, clean):
    names = [*TRAIN, 'train_00009.jpg', 'train_00008.jpg']
    noisy = read_label_list(save(rows(names, [*NOISY, 1, 1])), 7)
    with pytest.raises(ValueError, match='2 train images.*00008, train_00009'):
        merge_rafdb_train_labels(clean, noisy)


def test_merge_refuses_swapped_lists(save, clean):
    noisy = read_label_list(save(noisy_forms()['resup']), 7)
    with pytest.raises(ValueError, match="'resup'.*not RAF-DB's own"):
        merge_rafdb_train_labels(noisy, clean)


def test_merge_refuses_other_class_counts(save, clean):
    noisy = read_label_list(save(rows(TRAIN, range(7))), 8)
    with pytest.raises(ValueError, match='8 classes.*with 7'):
        merge_rafdb_train_labels(clean, noisy)


# Writing.


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
    # The rights of any new file, not those of a private temporary one.
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
    """Columns that are known among others: the one that lacks is named."""
    path = tmp_path / 'list.csv'
    path.write_text('annotation_id,choice,id,image\n1,happy,7,a.png\n')
    with pytest.raises(
        ValueError,
        match='line 1: .*the header has no column '
        "label; its columns are 'annotation_id', 'choice'",
    ):
        read_label_list(path, 2, classes=['happy', 'sad'])
    # A row of names that a header may have is still a row.
    path.write_text('name,happy\nimage,sad\n')
    rows = read_label_list(path, 2, classes=['happy', 'sad'])
    assert rows.names == ('name', 'image')
