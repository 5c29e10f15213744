"""Class probabilities that other methods take from the scan."""

import json
import random
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import environment, poison_clean_labels
from made_data import make_cifar10, make_ferplus, make_rafdb
from made_face_folders import draw_faces, make_folder, write_face, wrong_labels

from mmfer.datasets import RAFDB, FERPlus, ImageFolders, NoisyCIFAR10, SyntheticFaces
from mmfer.datasets.images import read_image
from mmfer.registry import TASK_UTILS
from mmfer.scan import ScanEvidence, ScoreOptions, extract, find_encoder, score_labels
from mmfer.scan import evidence as module
from mmfer.scan.duplicates import Thumbnails, find_duplicates
from mmfer.scan.sources import ListedImages
from mmfer_command.main import main

NOISE = dict(type='SymmetricNoise', rate=0.3, seed=1)


def hog(head=False, **options):
    """Evidence of the encoder without a network, and without the head."""
    return TASK_UTILS.build(
        dict(type='ScanEvidence', encoder='hog', head=head, **options)
    )


def shares(dataset):
    labels = dataset.get_gt_labels().tolist()
    return [labels.count(c) / len(labels) for c in range(dataset.num_classes)]


def written(dataset, folder):
    """The same images and labels as files, in the order of the samples."""
    names, labels = [], []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        image = info.get('img')
        image = read_image(info['img_path']) if image is None else image
        names.append(f'{len(names):04d}.png')
        cv2.imwrite(str(folder / names[-1]), image)
        labels.append(info['gt_label'])
    return ListedImages(
        names, np.array(labels), data_root=str(folder), classes=dataset.CLASSES
    )


# -- the same numbers as the scan --------------------------------------------
def test_probabilities_of_the_command(tmp_path, monkeypatch):
    from mmfer.cli import scan

    root = tmp_path / 'faces'
    make_folder(root, 150)
    (root / 'fear/empty.png').write_bytes(b'')
    # A copy under another label, which shares the group of its original.
    shutil.copy(sorted((root / 'sad').glob('*.png'))[0], root / 'fear/copy.png')
    findings = []
    monkeypatch.setattr(
        scan, 'write_results', lambda args, found, *rest: findings.append(found)
    )
    with pytest.raises(SystemExit) as end:
        main(['scan', str(root), '--out', str(tmp_path / 'out'), '--encoder', 'hog'])
    assert not end.value.code
    dataset = ImageFolders(str(root))
    found = hog()(dataset)
    assert found.shape == (152, 7) and found.dtype == np.float64
    (command,) = findings
    valid = command.valid
    assert valid.sum() == 151 and dataset.image_names() == command.names
    np.testing.assert_array_equal(found[valid], command.scores.probabilities[valid])
    np.testing.assert_allclose(found[~valid], [shares(dataset)])

    # The same from the parts, without the pass that both share.
    encoder = find_encoder('hog')
    part = extract(list(dataset.image_paths), [encoder, Thumbnails()], cache=False)
    arrays = part.arrays
    groups = find_duplicates(arrays['thumbnail'], arrays['pixel_hash'], part.valid)
    assert groups.is_exact_copy.sum() == 1
    scores = score_labels(
        {name: arrays[name] for name in encoder.outputs},
        dataset.get_gt_labels(),
        7,
        groups.group,
        part.valid,
    )
    np.testing.assert_allclose(found[valid], scores.probabilities[valid], atol=1e-6)


def test_copies_of_a_wrong_label_do_not_confirm_each_other(tmp_path):
    """Ten images with a wrong label, ten brighter or darker copies of each."""
    images, labels = draw_faces(200)
    given = labels.copy()
    given[:10] = (given[:10] + 3) % 7
    rows = np.concatenate([np.repeat(np.arange(10), 10), np.arange(10, 200)])
    light = np.concatenate([np.tile(np.linspace(0.8, 1, 10), 10), np.ones(190)])
    names = []
    for i, (row, factor) in enumerate(zip(rows, light)):
        pixels = (images[row] * factor).astype(np.uint8)
        names.append(write_face(tmp_path / f'{i:03d}', pixels).name)
    dataset = ListedImages(
        names, given[rows], data_root=str(tmp_path), classes=[*'abcdefg']
    )
    wrong = np.arange(100), given[rows[:100]]
    found = hog()(dataset)
    encoder = find_encoder('hog')
    blocks = extract(dataset, [encoder], cache=False).arrays
    leaky = score_labels(blocks, given[rows], 7).probabilities
    assert leaky[wrong].mean() > 0.5 > 0.2 > found[wrong].mean()


# -- data sets ---------------------------------------------------------------
def synthetic(folder):
    return SyntheticFaces(num_samples=90, size=24, label_noise=NOISE)


def cifar(folder):
    root = make_cifar10(folder / 'cifar', train=90)
    return NoisyCIFAR10(str(root), label_noise=NOISE)


def folders(folder):
    make_folder(folder / 'faces', 90)
    return ImageFolders(str(folder / 'faces'), label_noise=NOISE)


@pytest.mark.parametrize('make', [synthetic, cifar, folders])
def test_rows_are_those_of_the_samples(make, tmp_path):
    """Also of a subset in any order: the same images as files give the same rows."""
    dataset = make(tmp_path)
    dataset.full_init()
    order = np.random.default_rng(0).permutation(90)[:70].tolist()
    subset = dataset.get_subset(order)
    assert subset.sample_ids.tolist() == order
    before = subset.get_gt_labels()
    found = hog()(subset)
    (tmp_path / 'files').mkdir()
    files = written(subset, tmp_path / 'files')
    np.testing.assert_allclose(found, hog()(files), atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (subset.get_gt_labels() == before).all()
    # The rows differ, so a wrong order would be seen.
    assert np.abs(found - found[::-1]).max() > 0.1


def test_published_layouts(tmp_path):
    make_ferplus(tmp_path / 'ferplus', train=40)
    make_rafdb(tmp_path / 'rafdb')
    for dataset in (FERPlus(str(tmp_path / 'ferplus')), RAFDB(str(tmp_path / 'rafdb'))):
        found = hog()(dataset)
        assert found.shape == (len(dataset), dataset.num_classes)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert (found > 0).all()


def test_clean_labels_are_not_used(monkeypatch):
    given = dict(num_samples=80, size=24, label_noise=NOISE)
    found = hog()(SyntheticFaces(**given))
    clean = hog()(SyntheticFaces(num_samples=80, size=24))
    assert np.abs(found - clean).max() > 0.1
    poison_clean_labels(monkeypatch)
    np.testing.assert_array_equal(hog()(SyntheticFaces(**given)), found)


# -- too little to compare ---------------------------------------------------
def test_unreadable_images(tmp_path):
    images, labels = draw_faces(40)
    for row in range(40):
        write_face(tmp_path / 'abcdefg'[labels[row]] / f'{row}', images[row])
    dataset = ImageFolders(str(tmp_path))
    paths = list(dataset.image_paths)
    for row in (3, 17):
        open(paths[row], 'wb').close()
    found = hog()(dataset)
    np.testing.assert_allclose(found[[3, 17]], [shares(dataset)] * 2)
    assert np.isfinite(found).all()
    # One class is left.
    for path, label in zip(paths, dataset.get_gt_labels()):
        if label:
            open(path, 'wb').close()
    np.testing.assert_allclose(hog()(dataset), [shares(dataset)] * 40)
    for path in paths:
        open(path, 'wb').close()
    with pytest.raises(ValueError, match='ImageFolders: not one of 40 images can be'):
        hog()(dataset)


def test_one_class(monkeypatch):
    dataset = SyntheticFaces(num_samples=20, size=24)
    dataset.set_labels(np.arange(20), np.full(20, 4))
    # There is nothing to compare, so no image is read.
    monkeypatch.setattr(module, 'run_frozen_pass', None)
    assert (hog()(dataset) == np.eye(7)[[4] * 20]).all()


def test_copies_of_one_image(tmp_path):
    images, _ = draw_faces(1)
    names = [write_face(tmp_path / str(i), images[0]).name for i in range(12)]
    labels = np.arange(12) % 3
    dataset = ListedImages(names, labels, data_root=str(tmp_path), classes=[*'abcd'])
    np.testing.assert_allclose(hog()(dataset), [[1 / 3, 1 / 3, 1 / 3, 0]] * 12)


@pytest.mark.parametrize('count', [2, 3, 5])
def test_a_few_images(count):
    dataset = SyntheticFaces(num_samples=7, size=24, indices=list(range(count)))
    dataset.set_labels(np.arange(count), np.arange(count) % 2)
    found = hog()(dataset)
    assert found.shape == (count, 7) and np.isfinite(found).all()


# -- settings and state ------------------------------------------------------
def test_settings_name_all_that_decides():
    settings = hog().settings
    assert json.loads(json.dumps(settings)) == settings
    assert settings == dict(
        type='ScanEvidence',
        version=1,
        encoder=dict(name='hog', version=find_encoder('hog').version),
        duplicates=Thumbnails.version,
        options=dict(head=False, landmarks=2000, penalty=1.0, seed=0),
    )
    assert settings == hog().settings != hog(seed=3).settings


def test_with_the_head():
    dataset = SyntheticFaces(num_samples=80, size=24, label_noise=NOISE)
    found = hog(head=True)(dataset)
    encoder = find_encoder('hog')
    part = extract(dataset, [encoder, Thumbnails()], cache=False)
    groups = find_duplicates(
        part.arrays['thumbnail'], part.arrays['pixel_hash'], part.valid
    )
    scores = score_labels(
        {name: part.arrays[name] for name in encoder.outputs},
        dataset.get_gt_labels(),
        7,
        groups.group,
        options=ScoreOptions(head=True),
    )
    np.testing.assert_allclose(found, scores.probabilities, atol=1e-6)
    assert np.abs(found - hog()(dataset)).max() > 1e-3
    assert ScanEvidence('hog').settings == hog(head=True).settings != hog().settings
    with pytest.raises(TypeError, match='ScanEvidence: head'):
        hog(head='yes')


def test_another_seed_draws_other_folds():
    dataset = SyntheticFaces(num_samples=80, size=24, label_noise=NOISE)
    first, second = hog()(dataset), hog(seed=3)(dataset)
    difference = np.abs(first - second).max()
    assert 1e-4 < difference < 0.5
    np.testing.assert_array_equal(hog(seed=3)(dataset), second)


@pytest.mark.parametrize('seed', [-1, 0.5, True, None])
def test_seeds_that_are_none(seed):
    with pytest.raises((TypeError, ValueError), match='ScanEvidence: seed'):
        ScanEvidence(seed=seed)


def test_unknown_encoder():
    with pytest.raises(ValueError, match="the encoder 'no_model' cannot be used"):
        ScanEvidence('no_model')(SyntheticFaces(num_samples=9, size=24))


WITHOUT_HEAD = [
    [0.0495, 0.1582, 0.0937, 0.1230, 0.3094, 0.0735, 0.1927],
    [0.1181, 0.1468, 0.0336, 0.3172, 0.1257, 0.0552, 0.2034],
    [0.4262, 0.3104, 0.0677, 0.0118, 0.0443, 0.0524, 0.0873],
]
WITH_HEAD = [
    [0.0636, 0.2056, 0.1023, 0.1152, 0.2917, 0.0714, 0.1503],
    [0.1135, 0.1560, 0.0362, 0.3147, 0.1312, 0.0461, 0.2023],
    [0.3976, 0.3364, 0.0636, 0.0107, 0.0414, 0.0555, 0.0947],
]


@pytest.mark.parametrize('head, numbers', [(False, WITHOUT_HEAD), (True, WITH_HEAD)])
def test_version_is_that_of_these_numbers(head, numbers):
    """If these numbers change, raise ``evidence.VERSION``, then correct them."""
    images, labels = draw_faces(200, seed=2)
    options = ScoreOptions(landmarks=40, head=head)
    blocks = find_encoder('hog')([cv2.cvtColor(i, cv2.COLOR_GRAY2BGR) for i in images])
    found = score_labels(blocks, wrong_labels(labels, 0.2), 7, options=options)
    assert module.VERSION == 1
    np.testing.assert_allclose(found.probabilities[[0, 50, 150]], numbers, atol=0.01)


def test_random_states_are_left_alone():
    """Also by the best encoder, whose network draws weights when it is made."""
    dataset = SyntheticFaces(num_samples=20, size=24)
    dataset.full_init()
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    evidence = ScanEvidence()
    assert evidence.settings['encoder']['name'] in ('lite0', 'hog')
    evidence(dataset, 'drawn')
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize('registry', ['mmfer.registry', 'mmengine.registry'])
def test_a_fresh_process_finds_it(registry):
    program = (
        'from mmengine.registry import init_default_scope\n'
        "init_default_scope('mmfer')\n"
        f'from {registry} import TASK_UTILS\n'
        "print(type(TASK_UTILS.build(dict(type='ScanEvidence'))).__name__)"
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', program],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.stdout.split()[-1:] == ['ScanEvidence'], done.stderr
