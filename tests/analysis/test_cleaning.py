"""Lists and tables of a cleaning: what they say is what is trained on."""

import argparse
import csv
import os

import numpy as np
import pytest
from made_data import (
    make_affectnet,
    make_cifar10,
    make_cifar100,
    make_ferplus,
    make_rafdb,
    write_image,
)
from mmengine.config import Config, DictAction

from mmfer.analysis.cleaning import check_list, how_to_train, write_results
from mmfer.datasets import AffectNet, FERPlus
from mmfer.methods.gaave import LabelDecisions
from mmfer.registry import DATASETS


def make_image_list(root):
    for i in range(20):
        write_image(root / f'set/images/{i % 3}/{i}.png', 8, i)
    rows = [f'{i % 3}/{i}.png {i % 3}\n' for i in range(20)]
    (root / 'set/list.txt').write_text(''.join(rows))
    return root / 'set'


def make_image_folders(root):
    for i in range(20):
        write_image(root / f'set/{"abc"[i % 3]}/{i}.png', 8, i)
    return root / 'set'


NOISE = dict(type='SymmetricNoise', rate=0.4, seed=1)
KINDS = {
    'rafdb': (make_rafdb, dict(type='RAFDB', label_noise=NOISE)),
    'ferplus': (make_ferplus, dict(type='FERPlus', label_noise=NOISE)),
    'majority': (make_ferplus, dict(type='FERPlus', protocol='majority')),
    'affectnet7': (
        make_affectnet,
        dict(type='AffectNet', num_classes=7, label_noise=NOISE),
    ),
    'affectnet8': (lambda root: make_affectnet(root, 'npy'), dict(type='AffectNet')),
    'cifar10': (make_cifar10, dict(type='NoisyCIFAR10', label_noise=NOISE)),
    'cifar10_lt': (
        make_cifar10,
        dict(type='NoisyCIFAR10', long_tail=3, label_noise=NOISE),
    ),
    'cifar100': (make_cifar100, dict(type='NoisyCIFAR100')),
    'list': (
        make_image_list,
        dict(
            type='ImageList',
            ann_file='list.txt',
            num_classes=3,
            data_prefix='images',
            label_base=0,
            label_noise=NOISE,
        ),
    ),
    'folders': (make_image_folders, dict(type='ImageFolders', label_noise=NOISE)),
    'part': (
        lambda root: make_image_folders(root).parent,
        dict(type='ImageFolders', data_prefix='set', indices=list(range(5, 15))),
    ),
    'part_of_rafdb': (make_rafdb, dict(type='RAFDB', indices=9)),
}


@pytest.mark.parametrize('kind', KINDS)
def test_list_trains(tmp_path, monkeypatch, kind):
    """The list, in the data set's own format, and the table say the same."""
    make, cfg = KINDS[kind]
    cfg = dict(cfg, data_root=str(make(tmp_path)), pipeline=[dict(type='LoadFERImage')])
    dataset = DATASETS.build(cfg)
    labels, count = dataset.get_gt_labels(), len(dataset)
    rng = np.random.default_rng(0)
    decision = rng.choice(['keep', 'relabel', 'drop'], count)
    suggested = np.where(decision == 'keep', labels, rng.choice(3, count))
    suggested[decision == 'drop'] = -1
    zeros = np.zeros(count, dtype=np.int64)
    label_decisions = LabelDecisions(
        dataset.sample_ids,
        labels,
        zeros,
        zeros,
        zeros,
        decision != 'keep',
        suggested,
        decision,
        zeros / 9,
    )
    settings = write_results(str(tmp_path), label_decisions, {}, dataset)
    # Its path holds wherever one stands.
    monkeypatch.chdir('/')
    by_list = DATASETS.build({**cfg, **settings})
    by_table = DATASETS.build(dict(cfg, decisions=str(tmp_path / 'sample_scores.csv')))
    assert (
        by_list.get_gt_labels().tolist()
        == suggested[decision != 'drop'].tolist()
        == by_table.get_gt_labels().tolist()
    )
    assert len(by_list) == (decision != 'drop').sum()
    for i in range(len(by_list)):
        pair = [dataset[i] for dataset in (by_list, by_table)]
        assert (pair[0]['img'] == pair[1]['img']).all()
        if 'gt_va' in pair[1]:
            assert np.array_equal(pair[0]['gt_va'], pair[1]['gt_va'], equal_nan=True)
    check_list(dataset)
    # What is printed can be typed in.
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    lines = [
        line.split()
        for line in how_to_train(str(tmp_path), settings).splitlines()
        if line.startswith('--cfg-options')
    ]
    assert len(lines) == (1 if 'type' in settings else 2)
    for line, expected in zip(lines, (by_table, by_list)):
        typed = Config(dict(train_dataloader=dict(dataset=dict(cfg))))
        typed.merge_from_dict(parser.parse_args(line).cfg_options)
        again = DATASETS.build(typed.train_dataloader.dataset)
        assert (again.get_gt_labels() == expected.get_gt_labels()).all()


def test_list_of_an_awkward_image_list(tmp_path):
    """Names are written as they were read: absolute, ./, behind a link."""
    root = make_image_list(tmp_path)
    (tmp_path / 'elsewhere/link').parent.mkdir()
    (tmp_path / 'elsewhere/link').symlink_to(root)
    rows = [f'0/{i}.png' for i in (0, 3)] + ['./0/6.png', str(root / 'images/1/1.png')]
    (root / 'list.txt').write_text(''.join(f'{r} 0\n' for r in rows))
    cfg = dict(
        type='ImageList',
        data_root=str(tmp_path / 'elsewhere/link'),
        ann_file='list.txt',
        data_prefix='images',
        num_classes=3,
        label_base=0,
        pipeline=[],
    )
    dataset = DATASETS.build(cfg)
    settings = dataset.write_list(str(tmp_path / 'new.txt'), [0, 2, 3], [1, 2, 0])
    again = DATASETS.build(dict(cfg, **settings))
    assert again.get_gt_labels().tolist() == [1, 2, 0]
    assert [again.get_data_info(i)['img_path'] for i in range(3)] == [
        dataset.get_data_info(i)['img_path'] for i in (0, 2, 3)
    ]


def test_values_that_were_bytes(tmp_path):
    """Of AffectNet's per-image release, with the other one's empty folder."""
    root = make_affectnet(tmp_path, 'npy')
    (root / 'Manually_Annotated_Images').mkdir()
    for path in (root / 'train_set/annotations').glob('*.npy'):
        np.save(path, np.array(str(np.load(path)).encode()))
    cfg = dict(type='AffectNet', data_root=str(root), pipeline=[])
    dataset = DATASETS.build(cfg)
    settings = dataset.write_list(str(tmp_path / 'new.csv'), [1, 2], [3, 4])
    again = DATASETS.build(dict(cfg, **settings))
    assert again.get_gt_labels().tolist() == [3, 4]
    assert (again.get_data_info(1)['gt_va'] == dataset.get_data_info(2)['gt_va']).all()


def test_soft_labels_cannot_be_cleaned(tmp_path):
    """They would go on to be trained on."""
    root = str(make_ferplus(tmp_path))
    with pytest.raises(ValueError, match='soft_labels'):
        FERPlus(root, soft_labels=True, decisions='a.csv', pipeline=[])
    with pytest.raises(ValueError, match='soft_labels'):
        FERPlus(root, soft_labels=True, pipeline=[]).apply_decisions({})


def test_names_that_a_list_cannot_hold(tmp_path):
    """Found before the work, not after it."""
    write_image(tmp_path / 'a/1.png', 8, 0)
    write_image(tmp_path / '#b/1.png', 8, 0)
    cfg = dict(type='ImageFolders', data_root=str(tmp_path), pipeline=[])
    check_list(DATASETS.build(cfg))
    write_image(tmp_path / 'c\td/1.png', 8, 0)
    with pytest.raises(ValueError, match=r"'c\\td/1.png'"):
        check_list(DATASETS.build(cfg))


def test_lists_for_training_alone(tmp_path):
    """Evaluations take the labels of the release."""
    root = str(make_ferplus(tmp_path))
    with pytest.raises(ValueError, match='table.*evaluation'):
        FERPlus(root, split='valid', table='other.csv', pipeline=[])
    with pytest.raises(ValueError, match='table.*evaluation'):
        AffectNet(root, split='val', table='other.csv', pipeline=[])
    with pytest.raises(FileNotFoundError, match='other.csv'):
        AffectNet(root, table='other.csv', pipeline=[])


@pytest.mark.parametrize('kind', ['ferplus', 'affectnet7'])
def test_names_that_a_spreadsheet_would_compute(tmp_path, kind):
    """The table for other programs has no formula, and names the same images."""
    make, settings = KINDS[kind]
    root = make(tmp_path)
    settings = dict(settings, data_root=str(root), split='train', pipeline=[])
    settings.pop('label_noise')
    dataset = DATASETS.build(settings)
    table = root / dict(
        ferplus='fer2013new.csv',
        affectnet7='Manually_Annotated_file_lists/training.csv',
    ).get(kind)
    text = table.read_text()
    for i, sign in zip(range(1, 9), '=+-@=+-@'):
        path = dataset.image_paths[i]
        # Of FERPlus the table has names, of AffectNet a folder and a name.
        listed = (
            path.split('/')[-1] if kind == 'ferplus' else '/'.join(path.split('/')[-2:])
        )
        renamed = f'{sign}{i}/{listed}' if kind == 'affectnet7' else f'{sign}{listed}'
        target = path[: -len(listed)] + renamed
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(path, target)
        text = text.replace(listed, renamed)
    table.write_text(text)
    dataset = DATASETS.build(settings)
    labels = (dataset.given_labels + 1) % dataset.num_classes
    out = tmp_path / 'out.csv'
    more = dataset.write_list(str(out), dataset.sample_ids, labels)
    with open(out, newline='') as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    formulas = [cell for cell in cells if cell[:1] in '=+-@' and cell]
    assert all(float(cell) < 0 for cell in formulas)
    assert sum(cell.startswith('./') for cell in cells) == 8
    again = DATASETS.build(dict(settings, **more))
    assert again.get_gt_labels().tolist() == labels.tolist()
    assert again.image_names() == dataset.image_names()
    again.write_list(str(tmp_path / 'twice.csv'), again.sample_ids, labels)
    assert (tmp_path / 'twice.csv').read_bytes() == out.read_bytes()
