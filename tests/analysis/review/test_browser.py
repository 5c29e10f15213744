"""The review page in Chromium: decisions, downloads, progress, keys, looks."""

import json
import re
import time

import numpy as np
import pytest
from made_data import make_ferplus, write_image
from review_pages import (
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
from mmfer.registry import DATASETS

# Buttons that open the dialog with a button; the first that is visible is used.
OPENERS = dict(
    downloads=['#openDownloads'], saved=['#openSaved', '#openMore'], keys=['#openKeys']
)


def says(page, text):
    """Wait for a text in the header."""
    page.wait_for_function(
        'text => document.querySelector("header").textContent.includes(text)', arg=text
    )


def looked_at(page, number):
    """Wait until so many images are looked at, as text and as a value of the bar."""
    page.wait_for_function(
        """number => document.querySelector('#bar').ariaValueNow === String(number) &&
        document.querySelector('#count').textContent.startsWith(number + ' of ')""",
        arg=number,
    )


def open_dialog(page, name):
    opener = next(x for x in OPENERS[name] if page.is_visible(x))
    page.click(opener)
    page.wait_for_selector(f'#{name}[open]')


def click(page, button):
    """Click a button of a dialog, and close it."""
    name = page.eval_on_selector(button, 'b => b.closest("dialog").id')
    open_dialog(page, name)
    page.click(button)
    page.keyboard.press('Escape')
    page.wait_for_selector(f'#{name}:not([open])', state='attached')


def text_of(page, selector):
    return ' '.join(page.text_content(selector).split())


def save(page, button, path):
    with page.expect_download() as waiting:
        click(page, button)
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
        assert card.locator('.chip').text_content() == 'keep'
        given, suggested = (
            re.sub(
                r'[\s\x1c-\x1f\x85]',
                lambda found: found[0] if found[0] in '\x1c\x85' else ' ',
                ODD[data[key][i]],
            )
            for key in ('given', 'suggested')
        )
        assert card.locator('.labels').text_content() == f'{given} → {suggested}'
        assert not re.search(r'[\n\x0b\x0c\u2028\u2029]', card.text_content())
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
    looked_at(page, 6)

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
    looked_at(page, 6)
    says(page, '6 decisions restored from an earlier visit.')
    check(save(page, '#list', tmp_path / 'list.txt'))
    assert not problems
    progress = save(page, '#save', tmp_path / 'progress.json')
    saved = json.loads(progress.read_text(encoding='utf-8'))
    assert set(saved['decisions']) == set(map(str, data['ids'][:6]))

    click(page, '#restart')
    looked_at(page, 0)
    assert len(problems) == 1 and 'Delete all' in problems.pop()
    page.reload()
    page.wait_for_selector('.card')
    assert 'restored' not in page.text_content('#count')
    looked_at(page, 0)

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
    click(page, '#restart')
    assert 'Delete all' in problems.pop()

    # Without storage.
    page.add_init_script(
        'Object.defineProperty(window, "localStorage", {get() '
        '{ throw new Error("blocked"); }})'
    )
    page.reload()
    says(page, '"Save progress" before you leave')
    page.keyboard.press('d')
    looked_at(page, 1)
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

    assert min(cards()) == 0 and elements() <= 1400
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
    assert elements() <= 1400
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
            assert 20 <= elements() <= 1400, (width, height, elements())
    # Filters and order.
    page.focus('#given')
    for value in '012':
        # Arrow keys stay with the control.
        page.keyboard.press('ArrowDown')
        assert page.input_value('#given') == value and focus() == 'given'
    page.keyboard.press('Escape')
    assert focus() == 'space'
    page.focus('#sort')
    page.select_option('#sort', 'least')
    page.keyboard.press('Enter')
    assert focus() == 'space'
    looked_at(page, 5)
    mine = [i for i in range(count) if data['given'][i] == 2]
    says(page, f'{len(mine):,} shown')
    page.keyboard.press('Home')
    page.wait_for_selector(f'.card[data-index="{mine[-1]}"]')
    assert set(cards()) <= set(mine)
    page.keyboard.press('d')
    expected[mine[-1]][0] = 'drop'
    page.fill('#low', '2')
    page.keyboard.press('Enter')
    assert page.inner_text('#none').startswith('No image')
    assert focus() == 'space' and not cards()
    page.fill('#low', '0')
    page.keyboard.press('Enter')
    assert focus() == 'space' and cards()
    page.select_option('#state', 'decided')
    looked_at(page, 6)

    list_path = save(page, '#list', tmp_path / 'list.csv')
    table_path = save(page, '#table', tmp_path / 'table.csv')
    progress = save(page, '#save', tmp_path / 'progress.json')
    # A new page, with the progress of the old one.
    page.close(run_before_unload=False)
    page = browser.new_page()
    page.goto(page_path.as_uri())
    page.set_input_files('#file', str(progress))
    looked_at(page, 6)
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
    assert 'Seeing it is not enough' in text_of(page, '#rule')

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
    looked_at(page, 5)
    rest = range(5, len(dataset))
    relabel = sum(data['decision'][i] == 'relabel' for i in rest)
    drop = sum(data['decision'][i] == 'drop' for i in rest)
    assert relabel > 1 and drop > 1
    kinds = [kind for kind, _ in decided]
    keep, changed, dropped = map(kinds.count, ('keep', 'relabel', 'drop'))
    own = (
        f'Applies your 5 decisions: {keep} label{"s" * (keep != 1)} kept, '
        f'{changed} changed, {dropped} sample{"s" * (dropped != 1)} dropped. '
    )
    assert text_of(page, '#aboutAll') == (
        f'{own}14 samples were not looked at. This also changes {relabel} labels and '
        f'drops {drop} samples you did not look at, as the table says.'
    )
    assert text_of(page, '#aboutLooked') == (
        f'{own}The other 14 samples keep their given labels.'
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
    looked_at(page, 0)
    says(page, '5 decisions that this browser stored for another table of twins are')
    # A button takes them, because they are on the same samples. What was decided on
    # this page counts.
    page.keyboard.press('d')
    own = json.loads(save(page, '#save', tmp_path / 'p0.json').read_text())['decisions']
    assert [*own.values()] == [['drop']]
    page.click('#takeStored')
    says(page, 'decisions restored from another table of these images.')
    merged = json.loads(save(page, '#save', tmp_path / 'p1.json').read_text())
    expected = dict(json.loads(progress.read_text())['decisions'])
    assert merged['decisions'] == {**expected, **own}
    assert not page.is_visible('#takeStored')
    # The saved file does it, too.
    page.set_input_files('#file', str(progress))
    says(page, '5 decisions restored from progress.json.')
    saved = json.loads(save(page, '#save', tmp_path / 'p2.json').read_text())
    assert saved['decisions'] == {**own, **expected}

    # The set has changed: one row fewer, so the numbers are those of other samples.
    lines = (tmp_path / 'data/fer2013new.csv').read_text().splitlines()
    (tmp_path / 'data/fer2013new.csv').write_text('\n'.join(lines[:1] + lines[2:]))
    dataset3 = DATASETS.build(settings)
    table = write_table(tmp_path / 'third.csv', dataset3, decide(dataset3))
    review.write_page(str(tmp_path / 'third.html'), dataset3, table, 'twins')
    page = open_page(tmp_path / 'third.html', context)
    says(page, 'are not used here.')
    assert not page.is_visible('#takeStored')
    page.set_input_files('#file', str(progress))
    page.wait_for_timeout(200)
    assert 'other samples' in messages.pop() and not messages
    looked_at(page, 0)
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
    assert 'not on this page' in text_of(page, '#aboutAll')
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
