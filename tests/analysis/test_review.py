"""The review page: what it downloads is what the data set would write."""

import base64
import csv
import json
import re
import shutil
import time
import weakref
import zlib

import cv2
import numpy as np
import pytest
from helpers import call_tool, tiny_config, train
from made_data import (
    make_affectnet,
    make_cifar10,
    make_ferplus,
    make_rafdb,
    write_image,
)

from mmfer.analysis import review, thumbnails
from mmfer.analysis.review_files import pack
from mmfer.registry import DATASETS
from mmfer.score_table import write_score_table
from mmfer.utils import palette


def make_list(root):
    names = [f'{i:02d} a,b.png' for i in range(12)]
    for i, name in enumerate(names):
        write_image(root / name, 30 + i, i)
    (root / 'list.txt').write_text(
        ''.join(f'{name} {i % 3}\n' for i, name in enumerate(names))
    )
    return dict(
        type='ImageList',
        data_root=str(root),
        ann_file='list.txt',
        classes=('a', 'b<i>', 'ü'),
        pipeline=[],
    )


# What ends a line for some readers, a script, a string or an attribute.
ODD = (
    'a\u2028b\u2029',
    'a\x0bb\x0cc\x1cd\x85e',
    'a</script>',
    '<!--<script>',
    'a"b\'c',
    '&lt;&amp;',
    '`${1}`',
    '/*DATA*/',
    '__proto__',
    'a\\u003c',
    '<img src=x onerror=bad()>',
    'ü',
)


def make_odd(root, classes=ODD):
    names = [f'{name}.png' for name in ODD]
    for i, name in enumerate(names):
        write_image(root / name, 30 + i, i)
    (root / 'list.txt').write_text(
        ''.join(f'{name} {i}\n' for i, name in enumerate(names)), encoding='utf-8'
    )
    return dict(
        type='ImageList',
        data_root=str(root),
        ann_file='list.txt',
        classes=classes,
        label_base=0,
        pipeline=[],
    )


KINDS = dict(
    odd=make_odd,
    ferplus=lambda root: dict(
        type='FERPlus', data_root=str(make_ferplus(root)), split='train', pipeline=[]
    ),
    rafdb=lambda root: dict(
        type='RAFDB', data_root=str(make_rafdb(root)), split='train', pipeline=[]
    ),
    affectnet=lambda root: dict(
        type='AffectNet',
        data_root=str(make_affectnet(root)),
        split='train',
        num_classes=8,
        pipeline=[],
    ),
    cifar10=lambda root: dict(
        type='NoisyCIFAR10',
        data_root=str(make_cifar10(root)),
        split='train',
        pipeline=[],
    ),
    list=make_list,
)


def decide(dataset, seed=0):
    """Something of everything, by ``sample_id``; scores with ties."""
    rng = np.random.default_rng(seed)
    ids = dataset.sample_ids
    given = dataset.given_labels[ids]
    suggested = (
        given + rng.integers(1, dataset.num_classes, len(ids))
    ) % dataset.num_classes
    decision = rng.choice(['keep', 'relabel', 'drop'], len(ids))
    decision[0] = 'keep'
    return dict(
        sample_id=ids,
        given_label=given,
        suggested_label=suggested,
        noise_score=rng.integers(0, 6, len(ids)) / 5,
        decision=decision,
    )


def write_table(path, dataset, label_decisions):
    names = dataset.names_by_id()
    table = dict(
        label_decisions,
        image=np.array([names[i] for i in label_decisions['sample_id']]),
    )
    write_score_table(str(path), table, dataset.CLASSES)
    return str(path)


def page_data(path):
    text = path.read_text(encoding='utf-8')
    data = json.loads(
        re.search(
            r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL
        )[1]
    )
    for key in ('list', 'table'):
        data[key] = data[key] and json.loads(
            zlib.decompress(base64.b64decode(data[key]))
        )
    return data


def as_given(text):
    """Parts between the lines with given labels, from the last change to the first."""
    between, changes = [part.encode('utf-16-le') for part in text['between']], []
    part = end = 0
    given = text['given']
    put = given['put'].split('\0')
    assert put.pop() == ''
    for step, at, cut, new in zip(
        given['part'], given['at'], given['cut'], put, strict=True
    ):
        part, end = part + step, 0 if step else end
        changes.append((part, end + at, end + at + cut, new))
        end += at + cut
    for part, start, end, new in changes[::-1]:
        old = between[part]
        assert 2 * end <= len(old)
        between[part] = old[: 2 * start] + new.encode('utf-16-le') + old[2 * end :]
    return [part.decode('utf-16-le') for part in between]


def compose(text, form, looked_only=False):
    """As the page does it."""
    between = as_given(text) if looked_only else text['between']
    parts = [between[0]]
    for n, (line, i) in enumerate(zip(text['lines'], text['order'], strict=True)):
        parts += [form(line, i), between[n + 1]]
    return ''.join(parts)


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


def some_images(count=50, shape=(120, 90, 3)):
    return [
        np.random.default_rng(i).integers(0, 256, shape, np.uint8) for i in range(count)
    ]


def decode(text):
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), -1)


@pytest.mark.parametrize('enough', [8, 200])
def test_thumbnails_fit(monkeypatch, enough):
    monkeypatch.setattr(thumbnails, 'NUM_ESTIMATED', enough)
    images = some_images()
    images[7] = None
    sides = []
    for budget in (900_000, 200_000, 100_000):
        found = thumbnails.encode_images(iter(images), 50, budget)
        assert budget / 3 < sum(map(len, found)) <= budget
        assert [i for i, text in enumerate(found) if not text] == [7]
        largest = {max(decode(text).shape) for text in found if text}
        assert len(largest) == 1
        sides += largest
    assert sides == sorted(set(sides), reverse=True) and sides[0] == 96
    with pytest.raises(ValueError, match='of 50 images .* --max-images'):
        thumbnails.encode_images(iter(images), 50, 20_000)


def test_small_images_are_encoded_once():
    """To shrink the others must not cost those that are small anyway."""
    small, large = some_images(10, (30, 30, 3)), some_images(10)
    images = [image for pair in zip(small, large) for image in pair]
    found = thumbnails.encode_images(iter(images), 20, 45_000)
    assert max(decode(found[1]).shape) < 96
    for image, text in zip(small, found[::2]):
        assert base64.b64decode(text) == thumbnails.thumbnail(image, 96)


def test_images_are_not_kept():
    alive = []

    def read():
        for _ in range(30):
            image = np.zeros((64, 64, 3), np.uint8)
            alive.append(weakref.ref(image))
            yield image
            del image
            assert sum(x() is not None for x in alive) <= 1

    assert len(thumbnails.encode_images(read(), 30, 10**6)) == 30


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
    with open(review.TEMPLATE, encoding='utf-8') as file:
        template = file.read()
    page = review.fill(template, '/*DATA*/', dict(a='/*COLOURS*/<')).decode()
    assert '<title>/*DATA*/: labels' in page
    assert '{"a":"/*COLOURS*/\\u003c"}' in page
    assert f'--keep: {palette.DECISIONS["keep"]};' in page
    assert page.count('/*COLOURS*/') == 1


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


def test_tool(tmp_path):
    """Drawn faces have no list of files, but decisions."""
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1)
    train(cfg)
    tool = 'analysis_tools/review_labels.py'
    assert 'review.html: 20 of' in call_tool(tool, tmp_path, '--max-images', 20)
    data = page_data(tmp_path / 'review.html')
    assert data['list'] is None and len(data['images']) == 20
    with open(tmp_path / 'sample_scores.csv', newline='') as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row['noise_score']))
    assert data['names'] == [row['image'] for row in rows[:20]]
    (tmp_path / 'sample_scores.csv').unlink()
    assert 'clean_labels.py' in call_tool(tool, tmp_path, code=1)


def test_nothing_of_a_name_is_code(tmp_path):
    dataset = DATASETS.build(make_odd(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    page = tmp_path / 'page.html'
    for title in ('</script><b>', '/*DATA*/', '/*TITLE*/'):
        review.write_page(str(page), dataset, table, title)
        text = page.read_text(encoding='utf-8')
        assert text.count('</script>') == text.count('<script') == 2
        assert '<b>' not in text and '<img' not in text
        data = page_data(page)
        assert data['title'] == title and data['classes'] == list(ODD)
        assert sorted(data['names']) == sorted(f'{name}.png' for name in ODD)


@pytest.fixture
def browser():
    """Chromium of the distribution (``apt install chromium``).

    Also needs ``pip install playwright``.
    """
    sync_api = pytest.importorskip('playwright.sync_api')
    path = shutil.which('chromium') or shutil.which('google-chrome')
    if path is None:
        pytest.skip('no Chromium')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=['--no-sandbox']
        )
        yield browser
        browser.close()


def says(page, text):
    """Wait for a text in the line at the top."""
    page.wait_for_function(
        'text => document.querySelector("#count").textContent.includes(text)', arg=text
    )


def save(page, button, path):
    with page.expect_download() as waiting:
        page.click(button)
    waiting.value.save_as(path)
    return path


@pytest.mark.slow
def test_progress_and_odd_names(tmp_path, browser):
    """Progress outlives a reload; what is none of it changes nothing."""
    dataset = DATASETS.build(make_odd(tmp_path / 'data'))
    label_decisions = dict(decide(dataset), decision=np.full(len(ODD), 'keep'))
    table = write_table(tmp_path / 's.csv', dataset, label_decisions)
    path = tmp_path / 'page.html'
    review.write_page(str(path), dataset, table, '</title>"&')
    data = page_data(path)
    problems = []
    page = browser.new_page(viewport=dict(width=1280, height=800))
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.on('dialog', lambda dialog: (problems.append(dialog.message), dialog.accept()))
    page.goto(path.as_uri())
    assert page.title() == '</title>"&: labels to review'
    assert page.inner_text('h1') == '</title>"&'
    for i, name in enumerate(data['names']):
        card = page.locator(f'.card[data-index="{i}"]')
        assert card.get_attribute('title') == f'{name}\nsample {data["ids"][i]}'
        lines = card.text_content().split('\n')
        assert len(lines) == 4 and lines[0] == 'keep'
        assert lines[1] == re.sub(
            r'[\s\x1c-\x1f\x85]',
            lambda found: found[0] if found[0] in '\x1c\x85' else ' ',
            f'given {ODD[data["given"][i]]}',
        )
    # Keys for ten classes; those after them by mouse.
    assert page.eval_on_selector_all(
        '#legend kbd', 'all => all.map(k => k.textContent)'
    ) == list('1234567890')
    assert page.text_content('#class2') == f'3 {ODD[2]}'
    expected = [['keep', s] for s in data['suggested']]

    def expect(i, label):
        expected[i] = (
            ['keep', data['suggested'][i]]
            if label == data['given'][i]
            else ['relabel', label]
        )

    page.keyboard.press('0')
    expect(0, 9)
    page.click('#class4')
    expect(1, 4)
    page.select_option('#other', '11')
    page.click('#apply')
    expect(2, 11)
    page.click('#drop')
    expected[3] = ['drop', data['suggested'][3]]
    page.click('#relabel')
    expect(4, data['suggested'][4])
    page.click('#keep')
    page.keyboard.press('d')
    page.click('#undo')
    says(page, '6 looked at')

    def check(found):
        assert found.read_text(encoding='utf-8') == compose(
            data['list'],
            lambda forms, i: (
                ''
                if expected[i][0] == 'drop'
                else forms[
                    expected[i][1] if expected[i][0] == 'relabel' else data['given'][i]
                ]
            ),
        )

    check(save(page, '#list', tmp_path / 'list.txt'))
    page.reload()
    says(page, '6 looked at')
    says(page, '6 decisions restored from an earlier visit.')
    check(save(page, '#list', tmp_path / 'list.txt'))
    assert not problems
    progress = save(page, '#save', tmp_path / 'progress.json')
    saved = json.loads(progress.read_text(encoding='utf-8'))
    assert set(saved['decisions']) == set(map(str, data['ids'][:6]))

    page.click('#restart')
    says(page, '0 looked at')
    assert len(problems) == 1 and 'Delete all' in problems.pop()
    page.reload()
    page.wait_for_selector('.card')
    assert 'restored' not in page.text_content('#count')
    assert '0 looked at' in page.text_content('#count')

    # What must not get into a list.
    bad = tmp_path / 'bad.json'
    names = data['names']
    for text in (
        '{',
        'null',
        '[["keep"]]',
        '3',
        json.dumps({names[0]: ['relabel', 99], 'other.png': ['drop']}),
    ):
        bad.write_text(text)
        page.set_input_files('#file', str(bad))
        page.wait_for_timeout(100)
        assert len(problems) == 1 and 'not a saved progress' in problems.pop(), text
    entries = [
        ['relabel', 12],
        ['relabel', -1],
        ['relabel'],
        ['relabel', 1.5],
        ['relabel', '1'],
        'drop',
        ['discard'],
        None,
        ['relabel', 11],
        ['drop', 99],
        ['keep'],
    ]
    bad.write_text(json.dumps(dict(zip(names, entries))))
    page.set_input_files('#file', str(bad))
    says(page, '3 decisions restored from bad.json; 8 entries ignored')
    expected = [['keep', s] for s in data['suggested']]
    expected[8] = ['relabel', 11]
    expected[9] = ['drop', 0]
    check(save(page, '#list', tmp_path / 'list.txt'))
    page.set_input_files('#file', str(progress))
    says(page, '6 decisions restored from progress.json.')
    page.click('#restart')
    assert 'Delete all' in problems.pop()

    # Without storage.
    page.add_init_script(
        'Object.defineProperty(window, "localStorage", {get() '
        '{ throw new Error("blocked"); }})'
    )
    page.reload()
    says(page, '"Save progress" before you leave')
    page.keyboard.press('d')
    says(page, '1 looked at')
    check_before = save(page, '#save', progress)
    saved = json.loads(check_before.read_text(encoding='utf-8'))['decisions']
    assert list(saved.values()) == [['drop']]
    assert not problems


@pytest.mark.slow
def test_in_a_browser(tmp_path, browser):
    """Ten thousand images in Chromium: sort, filter, decide, download."""
    count = 10000
    root = make_ferplus(tmp_path / 'data', train=count, valid=8)
    settings = dict(type='FERPlus', data_root=str(root), split='train', pipeline=[])
    dataset = DATASETS.build(settings)
    label_decisions = decide(dataset)
    label_decisions['noise_score'] = np.random.default_rng(3).permutation(count) / count
    table = write_table(tmp_path / 'scores.csv', dataset, label_decisions)
    page_path = tmp_path / 'page.html'
    review.write_page(str(page_path), dataset, table, 'faces')
    assert page_path.stat().st_size < 50e6
    data = page_data(page_path)
    problems = []
    page = browser.new_page(viewport=dict(width=1280, height=800))
    page.on('pageerror', lambda error: problems.append(str(error)))
    page.on(
        'request',
        lambda request: (
            problems.append(request.url) if request.url.startswith('http') else None
        ),
    )
    start = time.time()
    page.goto(page_path.as_uri())
    page.wait_for_selector('.card img')
    assert time.time() - start < 3

    def cards():
        return page.eval_on_selector_all(
            '.card', 'all => all.map(c => +c.dataset.index)'
        )

    def elements():
        return page.evaluate('document.querySelectorAll("*").length')

    def focus():
        return page.evaluate('document.activeElement.id')

    assert min(cards()) == 0 and elements() <= 400
    # By keyboard: four decisions, the last one taken back.
    expected = [list(pair) for pair in zip(data['decision'], data['suggested'])]
    page.keyboard.press('r')
    expected[0][0] = 'relabel'
    page.keyboard.press('d')
    expected[1][0] = 'drop'
    page.keyboard.press('k')
    expected[2][0] = 'keep'
    page.keyboard.press('d')
    page.keyboard.press('u')
    other = (data['given'][3] + 1) % 8
    page.keyboard.press(str(other + 1))
    expected[3] = ['relabel', other]
    # To the end and back: never more than a screen of cards.
    page.keyboard.press('End')
    page.wait_for_selector(f'.card[data-index="{count - 1}"]')
    assert elements() <= 400
    page.keyboard.press('d')
    expected[-1][0] = 'drop'
    # The current card stays in sight whatever the window.
    page.keyboard.press('Home')
    for _ in range(60):
        page.keyboard.press('ArrowDown')
    current = page.get_attribute('.card.current', 'data-index')
    for width, height in (
        (2560, 1440),
        (1920, 1080),
        (3840, 2160),
        (400, 700),
        (2560, 1440),
        (1280, 800),
    ):
        page.set_viewport_size(dict(width=width, height=height))
        page.wait_for_function(f"""() => {{
            const card = document.querySelector(".card.current");
            if (innerWidth !== {width} || !card) return false;
            const box = card.getBoundingClientRect();
            return card.dataset.index === "{current}" &&
              box.top >= document.querySelector("main").offsetTop &&
              box.bottom <= innerHeight && box.right <= innerWidth; }}""")
        for at in (0, 0.4, 1):
            page.eval_on_selector(
                'main',
                '(view, at) => {view.scrollTop = at * view.scrollHeight + 70 }',
                at,
            )
            page.wait_for_timeout(100)
            assert 20 <= elements() <= 400, (width, height, elements())
    # Filters and order.
    page.focus('#given')
    for value in '012':
        # Arrow keys stay with the control.
        page.keyboard.press('ArrowDown')
        assert page.input_value('#given') == value and focus() == 'given'
    page.keyboard.press('Escape')
    assert focus() == 'scroll'
    page.focus('#sort')
    page.select_option('#sort', 'least')
    page.keyboard.press('Enter')
    assert focus() == 'scroll' and '5 looked at' in page.inner_text('#count')
    mine = [i for i in range(count) if data['given'][i] == 2]
    page.wait_for_function(
        f'document.querySelector("#count").textContent.startsWith('
        f'"{len(mine)} of {count}")'
    )
    page.keyboard.press('Home')
    page.wait_for_selector(f'.card[data-index="{mine[-1]}"]')
    assert set(cards()) <= set(mine)
    page.keyboard.press('d')
    expected[mine[-1]][0] = 'drop'
    page.fill('#low', '2')
    page.keyboard.press('Enter')
    assert page.inner_text('#none').startswith('No image')
    assert focus() == 'scroll' and not cards()
    page.fill('#low', '0')
    page.keyboard.press('Enter')
    assert focus() == 'scroll' and cards()
    page.select_option('#state', 'decided')
    assert '6 looked at' in page.inner_text('#count')

    list_path = save(page, '#list', tmp_path / 'list.csv')
    table_path = save(page, '#table', tmp_path / 'table.csv')
    progress = save(page, '#save', tmp_path / 'progress.json')
    # A new page, with the progress of the old one.
    page.close(run_before_unload=False)
    page = browser.new_page()
    page.goto(page_path.as_uri())
    page.set_input_files('#file', str(progress))
    says(page, '6 looked at')
    again = save(page, '#list', tmp_path / 'again.csv')
    assert again.read_bytes() == list_path.read_bytes()
    assert not problems

    after = {k: v.copy() for k, v in label_decisions.items()}
    row_of = {i: r for r, i in enumerate(label_decisions['sample_id'].tolist())}
    for sample_id, (decision, label) in zip(data['ids'], expected, strict=True):
        row = row_of[sample_id]
        after['decision'][row] = decision
        after['suggested_label'][row] = label
    left = after['decision'] != 'drop'
    final = np.where(
        after['decision'] == 'relabel', after['suggested_label'], after['given_label']
    )[left]
    for more in (dict(table=str(list_path)), dict(decisions=str(table_path))):
        found = DATASETS.build(dict(settings, **more)).get_gt_labels()
        assert found.tolist() == final.tolist()


# -- decisions by sample ---------------------------------------------------------------
def make_twins(root):
    """FERPlus with one image in three rows, and one in two rows of two labels."""
    make_ferplus(root)
    path = root / 'fer2013new.csv'
    lines = path.read_text().splitlines()
    other = lines[5].split(',')
    other[2:] = other[3:11] + ['0', '0']
    lines[9:9] = [lines[2], ','.join(other), lines[2]]
    path.write_text('\n'.join(lines) + '\n')
    return dict(type='FERPlus', data_root=str(root), split='train', pipeline=[])


def twin_page(tmp_path, limit=10000, **kwargs):
    """A page on twins; all of them are shown first."""
    settings = make_twins(tmp_path / 'data')
    dataset = DATASETS.build(settings)
    label_decisions = dict(decide(dataset), **kwargs)
    names = dataset.names_by_id()
    twin = np.array([names.count(names[i]) > 1 for i in dataset.sample_ids])
    assert twin.sum() == 5
    label_decisions['noise_score'] = twin + np.linspace(1, 0, len(dataset))
    table = write_table(tmp_path / 'scores.csv', dataset, label_decisions)
    page = tmp_path / 'page.html'
    review.write_page(str(page), dataset, table, 'twins', limit)
    return settings, dataset, label_decisions, page


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


@pytest.mark.slow
def test_decisions_stay_with_their_sample(tmp_path, browser):
    """An image in three rows: each row keeps the decision that was made on it."""
    settings, dataset, label_decisions, path = twin_page(tmp_path)
    data = page_data(path)
    messages, problems = [], []

    def open_page(path, context):
        page = context.new_page()
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.on(
            'dialog', lambda dialog: (messages.append(dialog.message), dialog.accept())
        )
        page.goto(path.as_uri())
        page.wait_for_selector('.card')
        return page

    context = browser.new_context(viewport=dict(width=1280, height=800))
    page = open_page(path, context)
    assert page.locator('.several').all_text_contents() == [
        f'{len(data["twins"][str(i)]) + 1} samples' for i in range(5)
    ]
    title = page.get_attribute('.card[data-index="0"]', 'title')
    others = ', '.join(map(str, data['twins']['0']))
    assert f'sample {data["ids"][0]}' in title and f'also sample {others}.' in title
    assert 'Seeing it is not enough' in page.inner_text('#rule')

    # Of the twins one is dropped, one kept, the others are relabelled to two classes.
    decided = []
    for place, key in enumerate('dk14'):
        page.keyboard.press(key)
        given = data['given'][place]
        if key == 'd':
            decided.append(['drop', None])
        elif key == 'k' or int(key) - 1 == given:
            decided.append(['keep', None])
        else:
            decided.append(['relabel', int(key) - 1])
    page.keyboard.press('Enter')
    decided.append([data['decision'][4], data['suggested'][4]])
    says(page, '5 looked at')
    rest = range(5, len(dataset))
    relabel = sum(data['decision'][i] == 'relabel' for i in rest)
    drop = sum(data['decision'][i] == 'drop' for i in rest)
    assert relabel > 1 and drop > 1
    assert page.inner_text('#aboutAll') == (
        f'5 looked at, 14 not. This also changes {relabel} labels and drops {drop} '
        'samples you did not look at.'
    )
    assert page.inner_text('#aboutLooked') == (
        '5 looked at. The other 14 samples keep their given labels.'
    )

    def check(page, places):
        """The files have the decisions on the samples at these places."""
        given = dataset.given_labels.copy()
        for only in (True, False):
            kept = np.ones(len(dataset), dtype=bool)
            labels = given.copy()
            for i, sample_id in enumerate(data['ids']):
                kind, label = data['decision'][i], data['suggested'][i]
                if i in places:
                    kind, label = decided[i]
                elif only:
                    kind = 'keep'
                kept[sample_id] = kind != 'drop'
                if kind == 'relabel':
                    labels[sample_id] = label
            ending = 'Looked' if only else ''
            table = save(page, f'#table{ending}', tmp_path / 'table.csv')
            listed = save(page, f'#list{ending}', tmp_path / 'list.csv')
            found = DATASETS.build(dict(settings, decisions=str(table)))
            assert found.sample_ids.tolist() == np.flatnonzero(kept).tolist()
            assert found.get_gt_labels().tolist() == labels[kept].tolist()
            found = DATASETS.build(dict(settings, table=str(listed)))
            assert found.get_gt_labels().tolist() == labels[kept].tolist()

    check(page, range(5))
    page.reload()
    says(page, '5 decisions restored from an earlier visit.')
    check(page, range(5))
    progress = save(page, '#save', tmp_path / 'progress.json')

    # The same samples with the table of another run: nothing is applied by itself.
    dataset2 = DATASETS.build(settings)
    other = dict(label_decisions, suggested_label=data_suggestions(dataset2))
    table = write_table(tmp_path / 'other.csv', dataset2, other)
    review.write_page(str(tmp_path / 'other.html'), dataset2, table, 'twins')
    page = open_page(tmp_path / 'other.html', context)
    says(page, '0 looked at')
    says(page, '5 decisions that this browser stored for another table of twins are')
    # By hand they are, because they are on the same samples.
    page.set_input_files('#file', str(progress))
    says(page, '5 decisions restored from progress.json.')
    saved = json.loads(save(page, '#save', tmp_path / 'p2.json').read_text())
    assert saved['decisions'] == json.loads(progress.read_text())['decisions']

    # The set has changed: one row fewer, so the numbers are those of other samples.
    lines = (tmp_path / 'data/fer2013new.csv').read_text().splitlines()
    (tmp_path / 'data/fer2013new.csv').write_text('\n'.join(lines[:1] + lines[2:]))
    dataset3 = DATASETS.build(settings)
    table = write_table(tmp_path / 'third.csv', dataset3, decide(dataset3))
    review.write_page(str(tmp_path / 'third.html'), dataset3, table, 'twins')
    page = open_page(tmp_path / 'third.html', context)
    says(page, 'are not used here.')
    page.set_input_files('#file', str(progress))
    page.wait_for_timeout(200)
    assert 'other samples' in messages.pop() and not messages
    assert '0 looked at' in page.inner_text('#count')
    context.close()

    # Version 0.1 saved by name: where the image has one sample, it is taken.
    old = tmp_path / 'old.json'
    old.write_text(
        json.dumps({data['names'][0]: ['drop'], data['names'][7]: ['relabel', 2]})
    )
    lines_before = lines
    (tmp_path / 'data/fer2013new.csv').write_text('\n'.join(lines_before))
    page = open_page(path, browser.new_context())
    page.set_input_files('#file', str(old))
    says(page, '1 decisions restored from old.json; 1 entries ignored, because their ')
    saved = json.loads(save(page, '#save', tmp_path / 'p3.json').read_text())
    assert saved['decisions'] == {str(data['ids'][7]): ['relabel', 2]}
    assert not problems and not messages


def data_suggestions(dataset):
    given = dataset.given_labels[dataset.sample_ids]
    return (given + 3) % dataset.num_classes


@pytest.mark.slow
def test_files_of_samples_that_are_not_shown(tmp_path, browser):
    """The browser counts text as UTF-16, and restores every given label."""
    names = [f'{x}\u2028{i}.png' for i, x in enumerate('a😀üx𝄞=y😀z' * 4)]
    for i, name in enumerate(names):
        write_image(tmp_path / 'data' / name, 20, i)
    (tmp_path / 'data/list.txt').write_text(
        ''.join(f'{name} {i % 11}\n' for i, name in enumerate(names)), encoding='utf-8'
    )
    settings = dict(
        type='ImageList',
        data_root=str(tmp_path / 'data'),
        ann_file='list.txt',
        classes=tuple('abcdefghijk'),
        pipeline=[],
    )
    dataset = DATASETS.build(settings)
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    path = tmp_path / 'page.html'
    review.write_page(str(path), dataset, table, 'x', 3)
    data = page_data(path)
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector('.card')
    assert 'not on this page' in page.inner_text('#aboutAll')
    page.keyboard.press('d')
    labels = dict(enumerate(dataset.given_labels.tolist()))
    del labels[data['ids'][0]]
    whole = tmp_path / 'whole.txt'
    dataset.write_list(str(whole), list(labels), list(labels.values()))
    found = save(page, '#listLooked', tmp_path / 'list.txt')
    assert found.read_bytes() == whole.read_bytes()
    found = save(page, '#tableLooked', tmp_path / 'table.csv')
    again = DATASETS.build(dict(settings, decisions=str(found)))
    assert again.sample_ids.tolist() == list(labels)
    assert again.get_gt_labels().tolist() == list(labels.values())
    # And with all decisions.
    found = save(page, '#list', tmp_path / 'list.txt').read_text(encoding='utf-8')
    assert found == compose(
        data['list'],
        lambda forms, i: (
            ''
            if i == 0 or data['decision'][i] == 'drop'
            else forms[
                data[dict(keep='given', relabel='suggested')[data['decision'][i]]][i]
            ]
        ),
    )


@pytest.mark.slow
def test_buttons_in_small_windows(tmp_path, browser):
    """Both files can be downloaded, and an image is in sight."""
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    path = tmp_path / 'page.html'
    review.write_page(str(path), dataset, table, 'x')
    for width, height in ((320, 560), (400, 700), (800, 480), (1280, 720)):
        page = browser.new_page(viewport=dict(width=width, height=height))
        page.goto(path.as_uri())
        page.wait_for_selector('.card')
        assert page.evaluate(
            'document.querySelector("main").clientHeight >= 0.3 * innerHeight'
        )
        assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        for button in ('#list', '#table', '#listLooked', '#tableLooked'):
            assert save(page, button, tmp_path / 'file').stat().st_size
        page.close()
