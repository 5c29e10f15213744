"""A record is complete, or says what it lacks."""

import copy
import hashlib
import json
import re
from pathlib import Path

import pytest
from helpers import ROOT

from mmfer.apis.model_card import card_problems, card_tables, csv_files, draft_card
from mmfer.apis.model_record import ITEMS, method_of, missing_items
from mmfer.datasets.terms import TERMS
from mmfer.registry import DATASETS

WEIGHTS = Path(ROOT) / 'mmfer/weights'
RECORDS = sorted(WEIGHTS.glob('*.json'))


@pytest.fixture
def record():
    return json.loads((WEIGHTS / 'alum_tiny_ferplus.json').read_text())


@pytest.fixture
def card(record):
    return (Path(ROOT) / record['model_card']).read_text()


def at(record, key, value):
    """A copy of a record with another value at a dotted key."""
    changed = copy.deepcopy(record)
    *path, last = key.split('.')
    inner = changed
    for part in path:
        inner = inner[part]
    inner[last] = value
    return changed


def test_every_shipped_model_has_a_record_and_a_card():
    assert {p.stem for p in WEIGHTS.glob('*.pth')} == {p.stem for p in RECORDS} != set()
    for path in RECORDS:
        record = json.loads(path.read_text())
        assert missing_items(record) == []
        text = (Path(ROOT) / record['model_card']).read_text()
        assert card_problems(text, record) == []
        data = path.with_suffix('.pth').read_bytes()
        assert record['file']['sha256'] == hashlib.sha256(data).hexdigest()
        assert record['file']['bytes'] == len(data)
        assert record['file']['name'] == path.with_suffix('.pth').name
        # The best epoch on test data is no result.
        assert 'best' not in path.read_text()


@pytest.mark.parametrize('item', ITEMS, ids=lambda item: item.key)
def test_each_item_is_needed(record, item):
    for value in (None, '', [], {}):
        (line,) = missing_items(at(record, item.key, value))
        assert line.startswith(item.key) and 'is missing' in line
        assert item.source in line
    found = missing_items(at(record, item.key, 'unknown: nobody wrote it down'))
    assert bool(found) != item.may_be_unknown
    (line,) = missing_items(at(record, item.key, 'unknown'))
    assert 'must be known' in line or 'without a reason' in line


def test_all_that_is_missing_is_listed_at_once():
    assert len(missing_items({})) == len(ITEMS)


@pytest.mark.parametrize(
    'key, value, word',
    [
        ('labels_sha256', 'e689', '64 digits'),
        ('date', 'today', 'no day'),
        ('input', {'shape': None, 'preparation': []}, 'has no shape'),
        ('metrics', {'accuracy/top1': {'last': 80.0}}, 'its mean'),
        (
            'metrics',
            {'accuracy/top1': {'last': float('nan'), 'last5_mean': 1.0}},
            'not a finite number',
        ),
        ('evaluation.images', 0, 'has no image'),
        ('evaluation.images', 3525, '3524 contradicts 3525'),
        ('evaluation.correct', 2853, '2852 contradicts 2853'),
        ('data.training_images', 25339, '25338 contradicts 25339'),
        ('classes', ['a'] * 8, 'class names'),
        ('config_note', None, 'config_note'),
    ],
)
def test_what_contradicts_itself(record, key, value, word):
    assert word in '\n'.join(missing_items(at(record, key, value)))


def test_the_first_list_has_all_that_is_missing(record):
    """A second refusal would cost another evaluation of the weights."""
    found = '\n'.join(missing_items(record | dict(config_note=None, method=None)))
    assert 'method (' in found and 'config_note (' in found


def test_a_moved_count_is_found(record):
    """The sum of the matrix stays, but a row and the diagonal do not."""
    record['evaluation']['confusion'][0][0] -= 1
    record['evaluation']['confusion'][1][1] += 1
    assert len(missing_items(record)) == 2


def test_every_number_of_the_card_is_compared(record, card):
    """One digit more or less in any row of any table is noticed."""
    count = 0
    for table in card_tables(record):
        for line in table.lines():
            head, _, number = line.rstrip(' |').rpartition(' ')
            digits = number.replace('.', '')
            if not digits.isdigit():
                continue
            new = line.replace(number, number[:-1] + str((int(number[-1]) + 1) % 10))
            problems = card_problems(card.replace(line, new), record)
            assert any(line in p for p in problems), line
            count += 1
    assert count > 30


@pytest.mark.parametrize(
    'old, new, word',
    [
        ('## Law', '## Order', '"Law" is missing'),
        ('2024/1689', '2024', 'does not mention "2024/1689"'),
        ('skin', 'looks', 'does not mention "skin"'),
        ('## Annotators', '## Annotators\n\nTODO', '"Annotators" is not written'),
        ('alum_tiny_ferplus', 'another', 'does not name the model'),
    ],
)
def test_faults_of_a_card(record, card, old, new, word):
    assert word in '\n'.join(card_problems(card.replace(old, new), record))


def test_a_draft_lacks_only_what_people_know(record):
    problems = card_problems(draft_card(record), record)
    assert len(problems) == 4 and all('is not written yet' in p for p in problems)
    assert card_problems('', record)


def test_a_cleaning_is_in_the_card(record):
    """Tables without a row are left out; the draft has what the check asks for."""
    cleaned = at(record, 'cleaning', dict(keep=90, drop=7, relabel=3, used_sha256='x'))
    cleaned = at(cleaned, 'evaluation.thresholds', [])
    draft = draft_card(cleaned)
    assert 'of 100, 3 were changed and 7 dropped' in draft
    assert '| promised |' not in draft
    problems = card_problems(draft, cleaned)
    assert len(problems) == 4 and all('is not written yet' in p for p in problems)
    (found,) = [p for p in card_problems(draft_card(record), cleaned) if 'cleaned' in p]
    assert 'Training data' in found


def test_csv_files_are_those_of_docs(record):
    prefix = str(Path(ROOT) / 'docs/results/alum_tiny_ferplus')
    for path, data in csv_files(record, prefix).items():
        assert Path(path).read_bytes() == data, path


def test_methods():
    assert method_of('gaave_ce_r18_ferplus') == 'gaave'
    assert method_of('mine_r18') is None and method_of(None) is None
    assert method_of('') is None


def test_terms_are_those_of_the_page():
    page = (Path(ROOT) / 'docs/licences.md').read_text()
    for key, terms in TERMS.items():
        row = f'| {terms.name} | {terms.terms} | {terms.redistribute} |'
        assert row in page, key
        assert terms.annotators in page
        # The page has links.
        for address in re.findall(r'https?://[^\s,;]+', terms.source):
            assert f'({address})' in page, address
    DATASETS.import_from_location()
    published = {
        name
        for name, cls in DATASETS.module_dict.items()
        # Lists and folders of users have the terms of their owners.
        if cls.__module__.startswith('mmfer') and not name.startswith(('Image', 'Num'))
    }
    assert published <= set(TERMS), published - set(TERMS)
