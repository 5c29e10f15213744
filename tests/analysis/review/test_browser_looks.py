"""The review page in Chromium: contrast, keys, pictures, groups, small windows."""

import itertools
import json
import shutil

import numpy as np
import pytest
from made_data import write_image
from review_pages import decide, make_list, page_data, write_table

from mmfer.analysis.review import page as review
from mmfer.registry import DATASETS

pytestmark = pytest.mark.slow

# Contrast of each visible text with what is behind it, as WCAG 2 defines it. Returns
# the texts with less than 4.5, and how many there were.
CONTRAST = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) =>
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
      if (colour[3] > 0) return null;
    }
    return parse(getComputedStyle(document.body).backgroundColor);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const bad = [];
  let texts = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !node.checkVisibility() ||
        node.matches('script, option, .unseen')) continue;
    const style = getComputedStyle(node), back = behind(node);
    const [one, other] = [light(parse(style.color)), light(back)].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    texts++;
    if (!(contrast >= 4.5)) bad.push([walker.currentNode.textContent.trim(),
      style.color, back, contrast]);
  }
  return [texts, bad];
}"""


def make_page(tmp_path, name='page.html', groups=None, **kwargs):
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    table = dict(decide(dataset))
    table['noise_score'] = np.linspace(0.99, 0.02, len(dataset))
    if groups:
        table.update(groups)
    path = write_table(tmp_path / 's.csv', dataset, table)
    page = tmp_path / name
    kwargs.setdefault('score_kind', 'probability')
    review.write_page(str(page), dataset, path, 'Faces', **kwargs)
    return page


@pytest.fixture
def open_page(browser):
    """Open a page and collect its errors, of which there must be none."""
    problems = []

    def opened(path, width=1280, height=800, **kwargs):
        context = browser.new_context(
            viewport=dict(width=width, height=height), **kwargs
        )
        page = context.new_page()
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector('.card')
        return page

    yield opened
    assert not problems


def decisions(page):
    return json.loads(page.evaluate('progress()'))['decisions']


@pytest.mark.parametrize('mode', ['light', 'dark'])
def test_contrast(tmp_path, open_page, mode):
    """All texts can be read, with every kind of card and in every dialog."""
    path = make_page(
        tmp_path,
        warnings=['The encoder knows nothing.'],
        subtitle='two',
        groups=dict(duplicate_of=np.array(['', '0', *[''] * 10], dtype=object)),
    )
    page = open_page(path, color_scheme=mode)
    assert page.get_attribute('html', 'data-theme') == mode
    for key in ('k', 'd', '1', '2', 'Enter', 'Home'):
        page.keyboard.press(key)
    texts, bad = page.evaluate(CONTRAST)
    assert texts > 80 and not bad
    for name in ('downloads', 'saved', 'keys', 'viewer'):
        page.evaluate(f'byId("{name}").showModal()')
        assert not page.evaluate(CONTRAST)[1], name
        page.keyboard.press('Escape')
    page.set_viewport_size(dict(width=390, height=844))
    page.wait_for_function('byId("enlarge").clientWidth < 100')
    assert not page.evaluate(CONTRAST)[1]


def test_contrast_is_measured(tmp_path, open_page):
    """The measurement finds what cannot be read."""
    page = open_page(make_page(tmp_path))
    page.add_style_tag(content='.card .name { color: #999 !important; }')
    assert len(page.evaluate(CONTRAST)[1]) == page.locator('.card').count()


def test_dark_mode_stays(tmp_path, open_page):
    path = make_page(tmp_path)
    page = open_page(path, color_scheme='dark')
    dark = page.evaluate('getComputedStyle(document.body).backgroundColor')
    page.emulate_media(color_scheme='light')
    page.wait_for_selector('html[data-theme=light]')
    page.emulate_media(color_scheme='dark')
    page.wait_for_selector('html[data-theme=dark]')
    page.click('#theme')
    page.wait_for_selector('html[data-theme=light]')
    assert page.get_attribute('#theme', 'aria-pressed') == 'false'
    assert page.evaluate('getComputedStyle(document.body).backgroundColor') != dark
    page.reload()
    page.wait_for_selector('html[data-theme=light] .card')
    # The choice is no progress of another page.
    assert 'not used here' not in page.text_content('#notice')


def test_names_of_controls(tmp_path, open_page):
    """A screen reader can name each control, and knows the current image."""
    page = open_page(
        make_page(
            tmp_path,
            groups=dict(duplicate_of=np.array(['', '0', *[''] * 10], dtype=object)),
        )
    )
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, dialog')]
        .filter(one => !(one.ariaLabel || one.getAttribute('aria-labelledby') ||
          (one.labels && one.labels.length) || one.textContent.trim()))
        .map(one => one.outerHTML)"""
    )
    assert not nameless
    assert page.evaluate('document.activeElement.id') == 'space'
    for _ in range(3):
        page.keyboard.press('ArrowRight')
    current = page.get_attribute('#space', 'aria-activedescendant')
    card = page.locator(f'#{current}')
    assert card.get_attribute('role') == 'option'
    assert card.get_attribute('aria-selected') == 'true'
    assert page.locator('[aria-selected=true]').count() == 1
    assert (
        card.get_attribute('aria-posinset'),
        card.get_attribute('aria-setsize'),
    ) == ('4', '12')
    for part in ('Given', 'suggested', 'Score', 'Table: '):
        assert part in card.get_attribute('aria-label')
    # What was decided is said.
    page.keyboard.press('d')
    assert page.text_content('#spoken').strip().endswith('drop.')
    # With Tab, every control of the header and of the panel is reached and has a ring.
    reached = set()
    for _ in range(60):
        page.keyboard.press('Tab')
        found = page.evaluate(
            """() => { const one = document.activeElement; return [one.id,
            parseFloat(getComputedStyle(one).outlineWidth)]; }"""
        )
        reached.add(found[0])
        assert found[0] in ('', 'space') or found[1] >= 2, found
    assert {'openDownloads', 'theme', 'given', 'keep', 'drop', 'class0'} <= reached


def test_full_size(tmp_path, open_page):
    """The file itself is shown; without it, the larger version in the page."""
    make_list(tmp_path / 'data')
    dataset = DATASETS.build(make_list(tmp_path / 'data'))
    names = dataset.image_names()
    for i, name in enumerate(names):
        write_image(tmp_path / 'data' / name, 900, i)
    table = dict(decide(dataset), noise_score=np.linspace(1, 0, 12))
    path = write_table(tmp_path / 's.csv', dataset, table)
    review.write_page(str(tmp_path / 'page.html'), dataset, path, 'x')
    page = open_page(tmp_path / 'page.html')

    def wait_for_width(selector, width):
        page.wait_for_function(f'byId("{selector}").naturalWidth === {width}')

    wait_for_width('picture', 900)
    page.keyboard.press('Space')
    page.wait_for_selector('#viewer[open]')
    wait_for_width('large', 900)
    assert names[0] in page.text_content('#captionText')
    # The picture fits the window, and a click shows all its pixels.
    box = page.locator('#large').bounding_box()
    assert box['height'] < 800
    page.click('#stage')
    assert page.locator('#large').bounding_box()['height'] == 900
    # Decisions and moves go on in the viewer.
    page.keyboard.press('d')
    assert names[1] in page.text_content('#captionText')
    page.click('[data-do=keep]')
    page.keyboard.press('ArrowRight')
    assert names[3] in page.text_content('#captionText')
    page.click('[data-do=previous]')
    page.keyboard.press('z')
    page.wait_for_selector('#viewer:not([open])', state='attached')
    assert page.evaluate('document.activeElement.id') == 'space'
    assert list(decisions(page).values()) == [['drop'], ['keep']]
    page.dblclick('.card[data-index="5"]')
    page.wait_for_selector('#viewer[open]')
    assert names[5] in page.text_content('#captionText')
    page.keyboard.press('Escape')
    # The page elsewhere, without the files.
    shutil.move(tmp_path / 'data', tmp_path / 'gone')
    page = open_page(tmp_path / 'page.html')
    wait_for_width('picture', 512)


def test_nothing_is_loaded_from_the_network(tmp_path, open_page):
    page = open_page(make_page(tmp_path))
    blocked = page.evaluate(
        """() => new Promise(resolve => {
          addEventListener('securitypolicyviolation', e => resolve(e.blockedURI));
          new Image().src = 'http://127.0.0.1:9/a.png';
          setTimeout(() => resolve(null), 2000);
        })"""
    )
    assert blocked == 'http://127.0.0.1:9/a.png'
    failed = page.evaluate("fetch('http://127.0.0.1:9/').catch(e => e.name)")
    assert failed == 'TypeError'


def test_duplicates_are_decided_together(tmp_path, open_page):
    """They get one label, also those with another given label; undo takes all back."""
    links = ['', '', '0', '', '0', *[''] * 7]
    path = make_page(tmp_path, groups=dict(duplicate_of=np.array(links, dtype=object)))
    data = page_data(path)
    assert data['ids'][:3] == [0, 2, 4]
    # Labels are those of the row, modulo 3.
    assert data['given'][:3] == [0, 2, 1]
    page = open_page(path)
    assert page.locator('.several').all_text_contents() == ['3 alike'] * 3
    assert page.locator('.joined').count() == 2
    assert '3 different labels' in page.text_content('#alike')
    page.keyboard.press('k')
    assert decisions(page) == {'0': ['keep'], '2': ['relabel', 0], '4': ['relabel', 0]}
    assert '3 images alike decided together' in page.text_content('#notice')
    # The next image is none of them.
    assert page.get_attribute('.card.current', 'data-index') == '3'
    page.keyboard.press('u')
    assert decisions(page) == {}
    page.keyboard.press('Home')
    page.keyboard.press('3')
    assert decisions(page) == {'0': ['relabel', 2], '2': ['keep'], '4': ['relabel', 2]}
    page.keyboard.press('u')
    page.keyboard.press('Home')
    # One by one.
    page.uncheck('#together')
    page.keyboard.press('d')
    assert decisions(page) == {'0': ['drop']}
    assert page.get_attribute('.card.current', 'data-index') == '1'
    # With a filter that hides the others, they are decided all the same.
    page.check('#together')
    page.select_option('#given', '2')
    page.keyboard.press('Escape')
    page.keyboard.press('Home')
    assert page.get_attribute('.card.current', 'data-index') == '1'
    page.keyboard.press('d')
    assert decisions(page) == {'0': ['drop'], '2': ['drop'], '4': ['drop']}
    page.select_option('#given', '')
    page.select_option('#sort', 'group')
    assert page.locator('.heading').all_text_contents() == [
        'Nearly the same picture, different labels3 images',
        'In no group9 images',
    ]


def test_groups_are_not_decided_together(tmp_path, open_page):
    """Unless the user wants it: images of a person have several expressions."""
    names = ['anna', 'ben'] * 3 + [''] * 6
    path = make_page(tmp_path, groups=dict(group=np.array(names, dtype=object)))
    assert page_data(path)['ids'] == list(range(12))
    page = open_page(path)
    page.keyboard.press('d')
    assert decisions(page) == {'0': ['drop']}
    page.select_option('#sort', 'group')
    found = [text[:5] for text in page.locator('.heading').all_text_contents()]
    assert found == ['Group', 'Group', 'In no']


@pytest.mark.parametrize('width', [390, 1280])
def test_order_by_pairs(tmp_path, open_page, width):
    """Sections are the pairs, the most frequent first; up and down keep the column."""
    path = make_page(tmp_path)
    data = page_data(path)
    page = open_page(path, width=width, height=800)
    if width < 1120:
        page.click('#openFilters')
    page.select_option('#sort', 'pair')
    page.keyboard.press('Escape')
    pairs = list(zip(data['given'], data['suggested']))
    counts = {pair: pairs.count(pair) for pair in pairs}
    order = sorted(range(12), key=lambda i: (-counts[pairs[i]], *pairs[i], i))
    assert page.evaluate('shown') == order
    page.keyboard.press('Home')
    seen, places = [page.evaluate('current')], []
    for _ in range(20):
        places.append(page.locator('.card.current').bounding_box())
        page.keyboard.press('ArrowDown')
        seen.append(page.evaluate('current'))
    down = [place for place, _ in itertools.groupby(seen)]
    assert down == sorted(down) and down[-1] == 11
    # Cards do not lie upon one another, and no heading is upon a card.
    boxes = page.eval_on_selector_all(
        '.card, .heading',
        """all => all.map(one => { const b = one.getBoundingClientRect();
          return [b.left, b.top, b.right, b.bottom]; })""",
    )
    for one, other in itertools.combinations(boxes, 2):
        assert (
            one[2] <= other[0] or other[2] <= one[0]
            or one[3] <= other[1] or other[3] <= one[1]
        )  # fmt: skip
    # The filter by pair has the same order, with counts.
    options = page.locator('#pair option').all_text_contents()
    names = ['a', 'b<i>', 'ü']
    expected = [
        f'{names[g]} → {names[s]} ({counts[g, s]})'
        for g, s in sorted(counts, key=lambda pair: (-counts[pair], *pair))
    ]
    assert options == ['all', *expected]
    if width < 1120:
        page.click('#openFilters') if not page.is_visible('#pair') else None
    page.select_option('#pair', index=1)
    assert page.evaluate('shown') == [
        i for i in order if counts[pairs[i]] and pairs[i] == pairs[order[0]]
    ]


def test_scores_in_two_digits_and_words(tmp_path, open_page):
    score = np.array([1, 0.999, 0.9, 0.66, 0.65, 0.33, 0.3249, 0.1, 0.05, 0.004, 0, 0])
    expected = [
        '1.00 very likely wrong',
        '>0.99 very likely wrong',
        '0.90 very likely wrong',
        '0.66 likely wrong',
        '0.65 doubtful',
        '0.33 doubtful',
        '0.32 likely right',
        '0.10 likely right',
        '0.05 very likely right',
        '<0.01 very likely right',
        '0.00 very likely right',
        '0.00 very likely right',
    ]
    page = open_page(make_page(tmp_path, groups=dict(noise_score=score)), height=1800)
    assert page.locator('.card .word').all_text_contents() == expected
    assert page.locator('#level option').all_text_contents() == [
        'all',
        'very likely wrong (3)',
        'likely wrong (1)',
        'doubtful (2)',
        'likely right (2)',
        'very likely right (4)',
    ]
    page.select_option('#level', index=3)
    assert page.evaluate('shown') == [4, 5]
    # Other scores are only ranked, and no word claims a probability.
    path = make_page(
        tmp_path,
        groups=dict(noise_score=np.array([12345, 3.14159, 2e-5, *[-1.5] * 9])),
        score_kind='rank',
    )
    page = open_page(path)
    found = page.locator('.card .word').all_text_contents()
    assert found[:4] == [
        '1.2e+4 top 20 %',
        '3.14 top 20 %',
        '0.000020 top 50 %',
        '-1.50 less suspicious',
    ]
    assert 'probability' not in page.text_content('#meaning').replace(
        'not a probability', ''
    )


def test_what_stands_at_the_top(tmp_path, open_page):
    path = make_page(
        tmp_path, warnings=['<b>The encoder</b> knows nothing.', 'two'], subtitle='a&b'
    )
    for width in (390, 1280, 2560):
        page = open_page(path, width=width, height=844)
        assert page.locator('#warnings li').all_text_contents() == [
            '<b>The encoder</b> knows nothing.',
            'two',
        ]
        for selector in ('#warnings', '#privacy'):
            box = page.locator(selector).bounding_box()
            assert 0 <= box['y'] and box['y'] + box['height'] <= 844, width
        assert page.text_content('#subtitle') == 'a&b'
        assert page.is_visible('#about' if width < 860 else '#subtitle')
        page.keyboard.press('End')
        assert page.text_content('#warned').endswith('2')
        page.click('#warned')
        page.wait_for_function('byId("scroll").scrollTop === 0')
    # What is longer than the window is shown from its beginning.
    page = open_page(make_page(tmp_path, warnings=['long ' * 300]), width=390)
    assert page.evaluate('byId("scroll").scrollTop') == 0
    page.keyboard.press('ArrowRight')
    card, view = page.locator('.card.current'), page.locator('#scroll').bounding_box()
    assert card.bounding_box()['y'] < view['y'] + view['height']
    page = open_page(make_page(tmp_path))
    assert not page.is_visible('#warnings') and not page.is_visible('#warned')
    assert not page.is_visible('#subtitle')
    assert 'This file contains the pictures' in page.text_content('#privacy')


def test_room_for_images(tmp_path, open_page):
    """On a phone, images have more than half of the window."""
    path = make_page(tmp_path, warnings=['one', 'two'], subtitle='x' * 300)
    for width, height in ((390, 844), (320, 640), (844, 390), (1280, 800)):
        page = open_page(path, width=width, height=height, has_touch=True)
        main = page.evaluate('byId("scroll").clientHeight')
        assert main >= 0.5 * height, (width, height, main)
        assert page.evaluate('document.querySelector("header").offsetHeight') <= 130
        assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        # The current card is in sight, above the buttons.
        page.keyboard.press('End')
        card = page.locator('.card.current').bounding_box()
        view = page.locator('#scroll').bounding_box()
        if card['height'] <= view['height']:
            assert card['y'] >= view['y'] - 1
            assert card['y'] + card['height'] <= view['y'] + view['height'] + 1
    # A tap chooses an image, and a second one shows it.
    page = open_page(path, width=390, height=844, has_touch=True)
    page.tap('.card[data-index="1"]')
    assert not page.is_visible('#viewer')
    page.tap('.card[data-index="1"]')
    page.wait_for_selector('#viewer[open]')


def test_large_pictures_by_key(tmp_path, open_page):
    page = open_page(make_page(tmp_path))
    widths = []
    for key in ('+', '+', '-', '-', '-', '-'):
        page.keyboard.press(key)
        widths.append(page.locator('.card').first.bounding_box()['width'])
    assert widths[1] > widths[0] > widths[3] > widths[4] == widths[5]
    assert widths[2] == widths[0]
