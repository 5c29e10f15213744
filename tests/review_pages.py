"""Review pages on small data sets, and what the script of a page does, in Python."""

import base64
import json
import re
import zlib

import numpy as np
from made_data import (
    make_affectnet,
    make_cifar10,
    make_ferplus,
    make_rafdb,
    write_image,
)

from mmfer.analysis.review import write_page
from mmfer.registry import DATASETS
from mmfer.score_table import write_score_table


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
    write_page(str(page), dataset, table, 'twins', limit)
    return settings, dataset, label_decisions, page
