"""The review page: what it downloads is what the data set would write."""

import csv
import os
import re
import stat

import numpy as np
import pytest
from helpers import ROOT
from made_data import write_image
from review_pages import (
    KINDS,
    ODD,
    compose,
    decide,
    make_list,
    make_odd,
    page_data,
    twin_page,
    write_table,
)

from mmfer.analysis.review import page as review
from mmfer.analysis.review import template
from mmfer.analysis.review.files import pack
from mmfer.registry import DATASETS
from mmfer.utils import palette


@pytest.fixture(params=KINDS)
def made(request, tmp_path):
    settings = KINDS[request.param](tmp_path / 'data')
    dataset = DATASETS.build(settings)
    label_decisions = decide(dataset)
    table = write_table(tmp_path / 'scores.csv', dataset, label_decisions)
    return settings, dataset, label_decisions, table, tmp_path


@pytest.mark.parametrize('limit', [5, 10000])
def test_downloads(made, limit):
    """List and table are those of the same decisions, byte by byte."""
    settings, dataset, label_decisions, table, folder = made
    page = folder / 'page.html'
    done = review.write_page(str(page), dataset, table, 'my set', limit)
    data = page_data(page)
    shown = min(limit, len(dataset))
    assert done == dict(shown=shown, samples=len(dataset), bytes=page.stat().st_size)
    assert data['score'] == sorted(data['score'], reverse=True)
    assert data['classes'] == list(dataset.CLASSES)
    assert len(data['images']) == shown and all(data['images'])

    # A person changes what is shown; the table decides the rest.
    rng = np.random.default_rng(1)
    decision = rng.choice(['keep', 'relabel', 'drop'], shown).tolist()
    label = rng.integers(0, dataset.num_classes, shown).tolist()
    after = {k: v.copy() for k, v in label_decisions.items()}
    names = dataset.names_by_id()
    row_of = {i: r for r, i in enumerate(label_decisions['sample_id'].tolist())}
    for i, (name, sample_id) in enumerate(zip(data['names'], data['ids'], strict=True)):
        row = row_of[sample_id]
        assert name == names[sample_id]
        assert data['given'][i] == label_decisions['given_label'][row]
        assert data['suggested'][i] == label_decisions['suggested_label'][row]
        after['decision'][row] = decision[i]
        if decision[i] == 'relabel':
            after['suggested_label'][row] = label[i]
    final = np.where(
        after['decision'] == 'relabel', after['suggested_label'], after['given_label']
    )
    left = after['decision'] != 'drop'

    found = compose(
        data['list'],
        lambda forms, i: (
            ''
            if decision[i] == 'drop'
            else forms[label[i] if decision[i] == 'relabel' else data['given'][i]]
        ),
    )
    path = folder / f'list{dataset.list_suffix}'
    more = dataset.write_list(str(path), after['sample_id'][left], final[left])
    assert found == path.read_text(encoding='utf-8')
    again = DATASETS.build(dict(settings, **more))
    assert again.get_gt_labels().tolist() == final[left].tolist()

    found = compose(
        data['table'],
        lambda line, i: (
            f'{line},'
            + str(label[i] if decision[i] == 'relabel' else data['suggested'][i])
            + f',{decision[i]}\n'
        ),
    )
    table = folder / 'reviewed.csv'
    table.write_text(found, encoding='utf-8')
    again = DATASETS.build(dict(settings, decisions=str(table)))
    assert again.get_gt_labels().tolist() == final[left].tolist()


def test_page_is_within_the_limit(tmp_path, monkeypatch):
    """Bytes are counted, of which some characters have three."""
    dataset = DATASETS.build(make_odd(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    page = tmp_path / 'page.html'
    whole = review.write_page(str(page), dataset, table, 'ü')['bytes']
    monkeypatch.setattr(review, 'MAX_BYTES', whole)
    assert review.write_page(str(page), dataset, table, 'ü')['bytes'] == whole
    monkeypatch.setattr(review, 'MAX_BYTES', whole - 1)
    done = review.write_page(str(page), dataset, table, 'ü')
    assert whole / 2 < done['bytes'] < whole
    assert all(page_data(page)['images'])
    images = sum(map(len, page_data(page)['images']))
    without = done['bytes'] - images
    page.unlink()
    for limit in (without + 5000, without - 1000):
        monkeypatch.setattr(review, 'MAX_BYTES', limit)
        with pytest.raises(ValueError, match='--max-images'):
            review.write_page(str(page), dataset, table, 'ü')
        assert not page.exists()


def test_lists_of_large_sets():
    """As AffectNet has them: 287,651 names that are hashes."""
    names = [
        f'Manually_Annotated_Images/{i % 999}/'
        f'{np.random.default_rng(i).bytes(28).hex()}.jpg'
        for i in range(2000)
    ]
    text = dict(
        between=[''.join(f'{name},3,-0.17,0.52\n' for name in names)],
        lines=[],
        order=[],
    )
    assert len(pack(text)) / 2000 * 287651 < 20e6


def test_places_are_filled_once():
    """A title or a name may read like a place to fill."""
    page = template.fill(
        template.read_template(), '/*DATA*/', dict(a='/*COLOURS*/<')
    ).decode()
    assert '<title>/*DATA*/: labels' in page
    assert '{"a":"/*COLOURS*/\\u003c"}' in page
    for colours in (palette.DECISIONS_ON_LIGHT, palette.DECISIONS_ON_DARK):
        assert f'--keep: {colours["keep"]};' in page
    assert page.count('/*COLOURS*/') == 1


def test_parts_of_the_page():
    """Every file of the folder is in the page, and short enough to be read."""
    names = os.listdir(template.WEB)
    assert sorted(names) == sorted(
        ['page.html', 'style.css', *(f'{name}.js' for name in template.SCRIPTS)]
    )
    page = template.read_template()
    for name in names:
        with open(os.path.join(template.WEB, name), encoding='utf-8') as file:
            lines = file.read().splitlines()
        assert len(lines) <= 300
        assert name == 'page.html' or lines[0] in page
    assert '/*S' not in page


@pytest.mark.parametrize('score', ['nan', 'inf', '-inf'])
def test_scores_that_are_no_numbers(tmp_path, score):
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    label_decisions = decide(dataset)
    label_decisions['noise_score'][[3, 5]] = float(score)
    table = write_table(tmp_path / 's.csv', dataset, label_decisions)
    page = tmp_path / 'page.html'
    with pytest.raises(
        ValueError,
        match=re.escape(
            f'{table}: noise_score of sample 3 (03 a,b.png) is {score}. 2 of 12'
        ),
    ):
        review.write_page(str(page), dataset, table, 'x')
    assert not page.exists()


def test_key_of_progress(tmp_path):
    """The browser's progress is of these images, labels and classes."""
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    label_decisions = decide(dataset)
    page = tmp_path / 'page.html'

    def key(title='x', **kwargs):
        table = write_table(
            tmp_path / 's.csv', dataset, dict(label_decisions, **kwargs)
        )
        review.write_page(str(page), dataset, table, title)
        return page_data(page)['key']

    other = (label_decisions['suggested_label'] + 1) % 3
    keys = [key(), key(suggested_label=other), key('y')]
    assert len(set(keys)) == 3 and key() == keys[0]


def test_nothing_of_a_name_is_code(tmp_path):
    dataset = DATASETS.build(make_odd(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    page = tmp_path / 'page.html'
    for title in ('</script><b>', '/*DATA*/', '/*TITLE*/'):
        review.write_page(str(page), dataset, table, title)
        text = page.read_text(encoding='utf-8')
        assert text.count('</script>') == text.count('<script') == 2
        own = template.read_template()
        for tag in ('<b>', '<img'):
            assert text.count(tag) == own.count(tag)
        data = page_data(page)
        assert data['title'] == title and data['classes'] == list(ODD)
        assert sorted(data['names']) == sorted(f'{name}.png' for name in ODD)


# -- decisions by sample ---------------------------------------------------------------
def test_page_names_the_samples_of_an_image(tmp_path):
    _, dataset, label_decisions, page = twin_page(tmp_path, limit=7)
    data = page_data(page)
    names = dataset.names_by_id()
    for place, sample_id in enumerate(data['ids']):
        others = [i for i, name in enumerate(names) if name == names[sample_id]]
        others.remove(sample_id)
        assert data['twins'].get(str(place), []) == others
    assert sorted(map(len, data['twins'].values())) == [1, 1, 2, 2, 2]
    # What the page does not show.
    hidden = np.setdiff1d(dataset.sample_ids, data['ids'])
    found = label_decisions['decision'][hidden].tolist()
    assert data['hidden'] == {
        name: found.count(name) for name in ('keep', 'relabel', 'drop')
    }
    assert data['total'] == len(dataset) == 19


def test_hash_of_the_samples(tmp_path):
    """It is that of samples, labels and classes, not of scores and suggestions."""
    settings = make_list(tmp_path / 'data')
    found = []

    def add(change=None, classes=None):
        if change is not None:
            path = tmp_path / 'data/list.txt'
            path.write_text(change(path.read_text()))
        dataset = DATASETS.build(dict(settings, classes=classes or settings['classes']))
        for seed in (0, 1):
            table = write_table(tmp_path / 's.csv', dataset, decide(dataset, seed))
            review.write_page(str(tmp_path / 'p.html'), dataset, table, 'x')
            found.append(page_data(tmp_path / 'p.html')['samples'])

    add()
    add(classes=('b', 'a', 'c'))
    add(lambda text: text.replace('05 a,b.png 2', '05 a,b.png 1'))
    add(lambda text: ''.join(text.splitlines(keepends=True)[::-1]))
    add(lambda text: text[text.index('\n') + 1 :])
    assert found[::2] == found[1::2]
    assert len(set(found)) == 5


@pytest.mark.parametrize('limit', [4, 10000])
def test_only_what_was_looked_at(made, limit):
    """Other samples keep their given labels, on the page or not."""
    settings, dataset, label_decisions, table, folder = made
    page = folder / 'page.html'
    review.write_page(str(page), dataset, table, 'my set', limit)
    data = page_data(page)
    looked = {0: ['relabel', 1], 1: ['drop', 0], 3: ['keep', 0]}
    expected = {i: label for i, label in enumerate(dataset.given_labels.tolist())}
    for place, (kind, label) in looked.items():
        if kind == 'relabel':
            expected[data['ids'][place]] = label
        if kind == 'drop':
            del expected[data['ids'][place]]

    def form(forms, i):
        kind, label = looked.get(i, ['keep', 0])
        if kind == 'drop':
            return ''
        return forms[label if kind == 'relabel' else data['given'][i]]

    path = folder / f'list{dataset.list_suffix}'
    path.write_text(compose(data['list'], form, looked_only=True), encoding='utf-8')
    ids = np.array(list(expected))
    whole = folder / f'whole{dataset.list_suffix}'
    more = dataset.write_list(str(whole), ids, np.array(list(expected.values())))
    assert path.read_bytes() == whole.read_bytes()
    again = DATASETS.build(dict(settings, **more))
    assert again.get_gt_labels().tolist() == list(expected.values())

    def row(line, i):
        kind, label = looked.get(i, ['keep', data['suggested'][i]])
        label = label if kind == 'relabel' else data['suggested'][i]
        return f'{line},{label},{kind}\n'

    path = folder / 'reviewed.csv'
    path.write_text(compose(data['table'], row, looked_only=True), encoding='utf-8')
    again = DATASETS.build(dict(settings, decisions=str(path)))
    assert again.sample_ids.tolist() == list(expected)
    assert again.get_gt_labels().tolist() == list(expected.values())


def test_formulas_in_names(tmp_path):
    """Names that a spreadsheet would compute come back from both files."""
    names = ['=1+1.png', '+a.png', '-b.png', '@c.png', "'=d.png", 'e.png']
    for i, name in enumerate(names):
        write_image(tmp_path / 'data' / name, 30 + i, i)
    (tmp_path / 'data/list.txt').write_text(
        ''.join(f'{name} {i % 3}\n' for i, name in enumerate(names))
    )
    settings = dict(
        type='ImageList',
        data_root=str(tmp_path / 'data'),
        ann_file='list.txt',
        classes=('=x', '-y', '@z'),
        pipeline=[],
    )
    dataset = DATASETS.build(settings)
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    review.write_page(str(tmp_path / 'p.html'), dataset, table, 't')
    data = page_data(tmp_path / 'p.html')
    # The page shows the names as they are.
    assert sorted(data['names']) == sorted(names)
    text = compose(data['table'], lambda line, i: f'{line},0,keep\n')
    cells = [row[1] for row in csv.reader(text.splitlines())][1:]
    assert cells == [f"'{name}" for name in names[:5]] + ['e.png']
    (tmp_path / 'reviewed.csv').write_text(text)
    again = DATASETS.build(dict(settings, decisions=str(tmp_path / 'reviewed.csv')))
    assert again.image_names() == names


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no such permissions')
def test_only_the_owner_can_read_a_page(tmp_path):
    """Also if others could read the file that it replaces, whatever the umask."""
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    page = tmp_path / 'page.html'
    page.write_text('old')
    page.chmod(0o666)
    before = os.umask(0)
    try:
        for _ in range(2):
            review.write_page(str(page), dataset, table, 'x')
            assert stat.S_IMODE(page.stat().st_mode) == 0o600
            assert 'old' != page.read_text()
    finally:
        os.umask(before)
    assert 'mmfer lets only its owner read it' in ' '.join(page.read_text().split())


def test_presentation_does_not_change_the_key(tmp_path):
    """Decisions stay if only a warning, a subtitle or the place of the page is new."""
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    found = []
    for name, more in (
        ('a.html', {}),
        ('b/c.html', dict(subtitle='s', warnings=['w'], score_kind='probability')),
    ):
        review.write_page(str(tmp_path / name), dataset, table, 'x', **more)
        found.append(page_data(tmp_path / name))
    assert found[0]['key'] == found[1]['key']
    assert (found[0]['subtitle'], found[0]['warnings']) == ('', [])
    assert (found[1]['subtitle'], found[1]['warnings']) == ('s', ['w'])


def test_links_to_the_files(tmp_path):
    """The page finds each file from its own folder, whatever is in a name."""
    dataset = DATASETS.build(make_odd(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    for page in (tmp_path / 'data/page.html', tmp_path / 'a/b c/page.html'):
        review.write_page(str(page), dataset, table, 'x')
        data = page_data(page)
        # One of the names is an absolute path.
        assert data['folder'] == '' and len(data['paths']) == len(dataset)
        for path in data['paths']:
            assert not os.path.isabs(path) and (page.parent / path).is_file()


def test_links_of_one_folder_are_short(tmp_path):
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    for page, folder in (('data/p.html', ''), ('a/b c/p.html', '../../data/')):
        review.write_page(str(tmp_path / page), dataset, table, 'x')
        data = page_data(tmp_path / page)
        assert data['paths'] is None and data['folder'] == folder


def test_documentation_states_the_scale():
    with open(os.path.join(ROOT, 'docs/analysis.md'), encoding='utf-8') as file:
        text = file.read()
    for row in (
        '| very likely wrong | at least 0.90 |',
        '| likely wrong | 0.66 to 0.90 |',
        '| doubtful | 0.33 to 0.66 |',
        '| likely right | 0.10 to 0.33 |',
        '| very likely right | below 0.10 |',
    ):
        assert row in text
