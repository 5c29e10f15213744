"""The review page: what it downloads is what the data set would write."""
import csv
import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers import ROOT, tiny_config, train
from made_data import (make_affectnet, make_cifar10, make_ferplus,
                       make_rafdb, write_image)

from mmfer.analysis import review
from mmfer.datasets.decisions import COLUMNS
from mmfer.engine.hooks.sample_scores import format_table
from mmfer.registry import DATASETS


def make_list(root):
    names = [f'{i:02d} a,b.png' for i in range(12)]
    for i, name in enumerate(names):
        write_image(root / name, 30 + i, i)
    (root / 'list.txt').write_text(
        ''.join(f'{name} {i % 3}\n' for i, name in enumerate(names)))
    return dict(type='ImageList', data_root=str(root), ann_file='list.txt',
                classes=('a', 'b<i>', 'ü'), pipeline=[])


KINDS = dict(
    ferplus=lambda root: dict(
        type='FERPlus', data_root=str(make_ferplus(root)), split='train',
        pipeline=[]),
    rafdb=lambda root: dict(
        type='RAFDB', data_root=str(make_rafdb(root)), split='train',
        pipeline=[]),
    affectnet=lambda root: dict(
        type='AffectNet', data_root=str(make_affectnet(root)),
        split='train', num_classes=8, pipeline=[]),
    cifar10=lambda root: dict(
        type='NoisyCIFAR10', data_root=str(make_cifar10(root)),
        split='train', pipeline=[]),
    list=make_list)


def decide(dataset, seed=0):
    """Something of everything, by ``sample_id``; scores with ties."""
    rng = np.random.default_rng(seed)
    ids = dataset.sample_ids
    given = dataset.given_labels[ids]
    suggested = (given + rng.integers(1, dataset.num_classes, len(ids))
                 ) % dataset.num_classes
    decision = rng.choice(['keep', 'relabel', 'drop'], len(ids))
    decision[0] = 'keep'
    return dict(
        sample_id=ids, given_label=given, suggested_label=suggested,
        noise_score=rng.integers(0, 6, len(ids)) / 5, decision=decision)


def write_table(path, dataset, judgement):
    names = review.image_names(dataset)
    path.write_bytes(format_table([
        dict(zip(COLUMNS, (int(i), names[i], int(g), f'{s:.6g}', int(new), d)))
        for i, g, s, new, d in zip(
            *(judgement[k] for k in ('sample_id', 'given_label',
                                     'noise_score', 'suggested_label',
                                     'decision')))
    ]))
    return str(path)


def page_data(path):
    text = path.read_text(encoding='utf-8')
    return json.loads(re.search(
        r'<script type="application/json" id="data">(.*?)</script>', text,
        re.DOTALL)[1])


def compose(text, form):
    """As the page does it."""
    parts = [text['between'][0]]
    for n, (line, i) in enumerate(zip(text['lines'], text['order'])):
        parts += [form(line, i), text['between'][n + 1]]
    return ''.join(parts)


@pytest.fixture(params=KINDS)
def made(request, tmp_path):
    settings = KINDS[request.param](tmp_path / 'data')
    dataset = DATASETS.build(settings)
    judgement = decide(dataset)
    table = write_table(tmp_path / 'scores.csv', dataset, judgement)
    return settings, dataset, judgement, table, tmp_path


@pytest.mark.parametrize('limit', [5, 10000])
def test_downloads(made, limit):
    """List and table are those of the same decisions, byte by byte."""
    settings, dataset, judgement, table, folder = made
    page = folder / 'page.html'
    done = review.write_page(str(page), dataset, table, 'my set', limit)
    data = page_data(page)
    shown = min(limit, len(dataset))
    assert done == dict(shown=shown, samples=len(dataset),
                        bytes=page.stat().st_size)
    assert data['score'] == sorted(data['score'], reverse=True)
    assert data['classes'] == list(dataset.CLASSES)
    assert len(data['images']) == shown and all(data['images'])

    # A person changes what is shown; the table decides the rest.
    rng = np.random.default_rng(1)
    decision = rng.choice(['keep', 'relabel', 'drop'], shown).tolist()
    label = rng.integers(0, dataset.num_classes, shown).tolist()
    after = {k: v.copy() for k, v in judgement.items()}
    names = review.image_names(dataset)
    row_of = {names[i]: r for r, i in enumerate(judgement['sample_id'])}
    for i, name in enumerate(data['names']):
        row = row_of[name]
        assert data['given'][i] == judgement['given_label'][row]
        assert data['suggested'][i] == judgement['suggested_label'][row]
        after['decision'][row] = decision[i]
        if decision[i] == 'relabel':
            after['suggested_label'][row] = label[i]
    final = np.where(after['decision'] == 'relabel',
                     after['suggested_label'], after['given_label'])
    left = after['decision'] != 'drop'

    found = compose(
        data['list'], lambda forms, i: '' if decision[i] == 'drop' else
        forms[label[i] if decision[i] == 'relabel' else data['given'][i]])
    path = folder / f'list{dataset.LIST_ENDING}'
    more = dataset.write_list(
        str(path), after['sample_id'][left], final[left])
    assert found == path.read_text(encoding='utf-8')
    again = DATASETS.build(dict(settings, **more))
    assert again.get_gt_labels().tolist() == final[left].tolist()

    found = compose(
        data['table'], lambda line, i: f'{line},' + str(
            label[i] if decision[i] == 'relabel' else data['suggested'][i]) +
        f',{decision[i]}\n')
    table = folder / 'reviewed.csv'
    table.write_text(found, encoding='utf-8')
    again = DATASETS.build(dict(settings, decisions=str(table)))
    assert again.get_gt_labels().tolist() == final[left].tolist()


def test_thumbnails_fit(monkeypatch):
    images = [np.random.default_rng(i).integers(
        0, 256, (120, 90, 3), np.uint8) for i in range(50)]
    images[7] = None
    for budget in (10**6, 200_000, 100_000):
        found = review.encode_images(iter(images), 50, budget)
        assert sum(map(len, found)) <= 1.1 * budget
        assert [i for i, text in enumerate(found) if not text] == [7]
    assert max(cv2.imdecode(np.frombuffer(review.thumbnail(
        images[0], 48), np.uint8), -1).shape) == 48


def test_tool(tmp_path):
    """Drawn faces have no list of files, but decisions."""
    cfg = tiny_config(tmp_path, train_cfg__max_epochs=1)
    train(cfg)
    command = [sys.executable, 'tools/analysis_tools/review_labels.py']
    environment = dict(os.environ, PYTHONPATH=ROOT, OMP_NUM_THREADS='1')
    done = subprocess.run([*command, str(tmp_path), '--max-images', '20'],
                          cwd=ROOT, env=environment, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert 'review.html: 20 of' in done.stdout
    data = page_data(tmp_path / 'review.html')
    assert data['list'] is None and len(data['images']) == 20
    with open(tmp_path / 'sample_scores.csv', newline='') as file:
        rows = sorted(csv.DictReader(file),
                      key=lambda row: -float(row['noise_score']))
    assert data['names'] == [row['image'] for row in rows[:20]]
    (tmp_path / 'sample_scores.csv').unlink()
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT,
                          env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and 'clean_labels.py' in done.stderr


def test_nothing_of_a_name_is_code(tmp_path):
    settings = make_list(tmp_path / 'data')
    dataset = DATASETS.build(settings)
    table = write_table(tmp_path / 's.csv', dataset, decide(dataset))
    page = tmp_path / 'page.html'
    review.write_page(str(page), dataset, table, '</script><b>')
    text = page.read_text(encoding='utf-8')
    assert text.count('</script>') == 2 and '<b>' not in text
    assert page_data(page)['title'] == '</script><b>'


@pytest.mark.slow
def test_in_a_browser(tmp_path):
    """Ten thousand images in Chromium: sort, filter, decide, download.

    Needs Chromium of the distribution (``apt install chromium``) and
    ``pip install playwright``.
    """
    import shutil
    import time
    sync_api = pytest.importorskip('playwright.sync_api')
    browser_path = shutil.which('chromium') or shutil.which('google-chrome')
    if browser_path is None:
        pytest.skip('no Chromium')
    count = 10000
    root = make_ferplus(tmp_path / 'data', train=count, valid=8)
    settings = dict(type='FERPlus', data_root=str(root), split='train',
                    pipeline=[])
    dataset = DATASETS.build(settings)
    judgement = decide(dataset)
    judgement['noise_score'] = np.random.default_rng(3).permutation(
        count) / count
    table = write_table(tmp_path / 'scores.csv', dataset, judgement)
    page_path = tmp_path / 'page.html'
    review.write_page(str(page_path), dataset, table, 'faces')
    assert page_path.stat().st_size < 50e6
    data = page_data(page_path)
    problems = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=['--no-sandbox'])
        page = browser.new_page(viewport=dict(width=1280, height=800))
        page.on('pageerror', lambda error: problems.append(str(error)))
        page.on('request', lambda request: problems.append(request.url)
                if request.url.startswith('http') else None)
        start = time.time()
        page.goto(page_path.as_uri())
        page.wait_for_selector('.card img')
        assert time.time() - start < 3

        def cards():
            return page.eval_on_selector_all(
                '.card', 'all => all.map(c => +c.dataset.index)')

        def elements():
            return page.evaluate('document.querySelectorAll("*").length')

        assert min(cards()) == 0 and elements() < 600
        # By keyboard: four decisions, the last one taken back.
        expected = [list(pair) for pair in zip(data['decision'],
                                               data['suggested'])]
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
        assert elements() < 600
        page.keyboard.press('d')
        expected[-1][0] = 'drop'
        # Filters and order.
        page.select_option('#given', '2')
        page.select_option('#sort', 'least')
        mine = [i for i in range(count) if data['given'][i] == 2]
        page.wait_for_function(
            f'document.querySelector("#count").textContent.startsWith('
            f'"{len(mine)} of {count}")')
        page.keyboard.press('Home')
        page.wait_for_selector(f'.card[data-index="{mine[-1]}"]')
        assert set(cards()) <= set(mine)
        page.keyboard.press('d')
        expected[mine[-1]][0] = 'drop'
        page.fill('#low', '2')
        page.dispatch_event('#low', 'change')
        assert page.inner_text('#none').startswith('No image')
        page.fill('#low', '0')
        page.dispatch_event('#low', 'change')
        page.select_option('#state', 'decided')
        assert '6 looked at' in page.inner_text('#count')

        def download(button, name):
            with page.expect_download() as waiting:
                page.click(button)
            assert waiting.value.suggested_filename == name
            waiting.value.save_as(tmp_path / name)
            return tmp_path / name

        list_path = download('#list', 'faces_reviewed.csv')
        table_path = download('#table', 'faces_reviewed_scores.csv')
        progress = download('#save', 'faces_progress.json')
        # A new page, with the progress of the old one.
        page.close(run_before_unload=False)
        page = browser.new_page()
        page.goto(page_path.as_uri())
        page.set_input_files('#file', str(progress))
        page.wait_for_function(
            'document.querySelector("#count").textContent.includes('
            '"6 looked at")')
        again = download('#list', 'faces_reviewed.csv')
        assert again.read_bytes() == list_path.read_bytes()
        browser.close()
    assert not problems

    after = {k: v.copy() for k, v in judgement.items()}
    names = review.image_names(dataset)
    row_of = {names[i]: r for r, i in enumerate(judgement['sample_id'])}
    for name, (decision, label) in zip(data['names'], expected):
        row = row_of[name]
        after['decision'][row] = decision
        after['suggested_label'][row] = label
    left = after['decision'] != 'drop'
    final = np.where(after['decision'] == 'relabel',
                     after['suggested_label'], after['given_label'])[left]
    for more in (dict(table=str(list_path)), dict(decisions=str(table_path))):
        found = DATASETS.build(dict(settings, **more)).get_gt_labels()
        assert found.tolist() == final.tolist()
