"""The one reader of text files."""
import codecs

import pytest

from mmfer.utils.text_tables import (
    check_class_names,
    read_class_names,
    read_text,
)

NAMES = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger',
         'neutral']


@pytest.fixture
def save(tmp_path):

    def save(text, name='file.txt', encoding='utf-8'):
        path = tmp_path / name
        path.write_bytes(
            text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return save


# -- class names -------------------------------------------------------------
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16',
                                      'utf-32'])
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


@pytest.mark.parametrize('text, parts', [
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
])
def test_bad_class_files(save, text, parts):
    path = save(text)
    with pytest.raises(ValueError) as caught:
        read_class_names(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_class_names_of_a_list():
    assert check_class_names(('a', 'b')) == ['a', 'b']
    assert check_class_names([1, 2]) == ['1', '2']
    for names, part in (((), 'no class name'), (['a', 'b', 'a'], 'name 3'),
                        (['a', ''], 'name 2'), (['a', ' '], 'name 2'),
                        (['a', None], 'None'), (['a', True], 'True')):
        with pytest.raises(ValueError, match=part):
            check_class_names(names)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such file of class names'):
        read_class_names(tmp_path / 'none.txt')


# -- lines -------------------------------------------------------------------
@pytest.mark.parametrize('text, lines, newline, final', [
    ('a\nb\n', ['a', 'b'], 'LF', True),
    ('a\r\nb', ['a', 'b'], 'CRLF', False),
    ('a\rb\r', ['a', 'b'], 'CR', True),
    ('a\r\rb', ['a', '', 'b'], 'CR', False),
    ('a\nb\r\nc\r', ['a', 'b', 'c'], 'mixed', True),
    ('a\u2028b\x0bc\n', ['a\u2028b\x0bc'], 'LF', True),
    ('', [], 'LF', False),
    ('a', ['a'], 'LF', False),
])
def test_lines(save, text, lines, newline, final):
    found = read_text(save(text))
    assert (found.lines, found.newline) == (lines, newline)
    assert found.final_newline is final
