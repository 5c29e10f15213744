"""PACS and Office-Home in their published layouts."""

import copy
import shutil
from pathlib import Path

import pytest
from config_steps import shrink, use_made_data
from helpers import ROOT
from made_data import (
    PACS_CLASSES,
    PACS_DOMAINS,
    make_office_home,
    make_pacs,
    write_image,
)
from mmengine.config import Config
from mmengine.runner import Runner

from mmfer.datasets import PACS, OfficeHome
from mmfer.datasets.domains import OFFICE_HOME_CLASSES
from mmfer.engine.preflight import PreflightError
from mmfer.registry import DATASETS


def parts(dataset):
    """Domain, class folder and file of each image, with its label."""
    return [
        (*Path(dataset.get_data_info(i)['img_path']).parts[-3:], int(label))
        for i, label in enumerate(dataset.get_gt_labels())
    ]


@pytest.mark.parametrize('domain', PACS_DOMAINS)
def test_pacs_trains_on_three_domains(domain, tmp_path):
    root = str(make_pacs(tmp_path))
    train = DATASETS.build(
        dict(type='PACS', data_root=root, test_domain=domain, pipeline=[])
    )
    test = PACS(root, domain, 'test')
    others = [d for d in PACS_DOMAINS if d != domain]
    assert parts(train) == [
        (d, name, 'pic_001.jpg', label)
        for d in others
        for label, name in enumerate(PACS_CLASSES)
    ]
    assert parts(test) == [
        (domain, name, f'pic_00{i}.jpg', label)
        for label, name in enumerate(PACS_CLASSES)
        for i in (1, 2)
    ]
    assert test.test_mode and not train.test_mode
    assert train.CLASSES == PACS_CLASSES
    for dataset in (train, test, train.get_subset([20, 0, 9])):
        found = [PACS_DOMAINS[number] for number in dataset.get_domains()]
        assert found == [part[0] for part in parts(dataset)]


@pytest.mark.parametrize(
    'images, lists',
    [
        ('images', 'splits'),
        ('images/kfold', 'splits'),
        ('.', '.'),
        ('kfold', 'kfold'),
        ('kfold', 'Train val splits and h5py files pre-read'),
    ],
)
def test_layouts_of_pacs(images, lists, tmp_path):
    root = str(make_pacs(tmp_path, images, lists))
    assert len(PACS(root)) == 21 and len(PACS(root, split='test')) == 14


def test_what_is_wrong_with_pacs(tmp_path):
    with pytest.raises(ValueError, match="test_domain must be 'art_painting'"):
        PACS(str(tmp_path), 'art')
    with pytest.raises(FileNotFoundError, match=r"domain 'art_painting'[\s\S]*kfold"):
        PACS(str(tmp_path))
    root = make_pacs(tmp_path)
    path = root / 'splits/photo_train_kfold.txt'
    text = path.read_text()
    path.write_text(text.replace('photo/dog/pic_001.jpg 1', 'photo/dog/pic_001.jpg 2'))
    with pytest.raises(ValueError, match=r'label 2 \(elephant\).*folder .dog'):
        PACS(str(root))
    assert len(PACS(str(root), 'photo')) == 21, 'the list of the test domain'
    path.unlink()
    with pytest.raises(FileNotFoundError, match='photo_train_kfold.txt'):
        PACS(str(root))
    path.write_text(text)
    (root / 'kfold/photo/dog/pic_001.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='photo/dog/pic_001.jpg'):
        PACS(str(root))


def test_noise_is_for_training_only(tmp_path):
    root = str(make_pacs(tmp_path))
    noise = dict(type='SymmetricNoise', rate=0.5)
    train = PACS(root, label_noise=noise)
    assert (train.get_gt_labels() != train.clean_labels).sum() == 10
    with pytest.raises(ValueError, match='label_noise'):
        PACS(root, split='test', label_noise=noise)


def test_office_home(tmp_path):
    assert len(OFFICE_HOME_CLASSES) == len(set(OFFICE_HOME_CLASSES)) == 65
    root = make_office_home(tmp_path, OFFICE_HOME_CLASSES)
    write_image(root / 'Real World/Bed/00002.jpg', 12, 0)
    train = OfficeHome(str(root), 'product')
    assert len(train) == 196 and len(OfficeHome(str(root), 'real_world', 'test')) == 66
    assert {p[0] for p in parts(train)} == {'Art', 'Clipart', 'Real World'}
    assert all(OFFICE_HOME_CLASSES[label] == name for _, name, _, label in parts(train))
    held_out = OfficeHome(str(root), 'product', fold=(0, 10))
    assert len(held_out) < len(train)


def test_copies_of_office_home(tmp_path):
    folder = tmp_path / 'OfficeHomeDataset_10072016'
    make_office_home(folder, OFFICE_HOME_CLASSES, real='RealWorld')
    assert len(OfficeHome(str(tmp_path), 'real_world', 'test')) == 65


def test_what_is_wrong_with_office_home(tmp_path):
    with pytest.raises(FileNotFoundError, match="train split, domain 'art': data not"):
        OfficeHome(str(tmp_path))
    root = make_office_home(tmp_path, OFFICE_HOME_CLASSES)
    (root / 'Art/TV/00001.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='no images in .*Art/TV'):
        OfficeHome(str(root))


@pytest.mark.parametrize(
    'removed, missing, found',
    [
        ('splits/sketch_test_kfold.txt', 'sketch_test_kfold.txt', 'kfold/sketch'),
        ('kfold/sketch', '/sketch', 'sketch_test_kfold.txt'),
    ],
)
def test_what_a_split_of_pacs_lacks(removed, missing, found, tmp_path):
    """The message names the split, and says what is there and what is not."""
    path = make_pacs(tmp_path) / removed
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(PACS(str(tmp_path))) == 21
    with pytest.raises(FileNotFoundError, match='PACS, test split') as error:
        PACS(str(tmp_path), split='test')
    lines = {
        state: next(
            x for x in str(error.value).splitlines() if x.endswith(f'({state})')
        )
        for state in ('missing', 'found')
    }
    assert missing in lines['missing'] and found in lines['found']


@pytest.mark.parametrize('changed', ['train', 'test'])
def test_all_loaders_leave_out_the_same_domain(changed, tmp_path):
    """Otherwise a run would be tested on images that it was trained on."""
    cfg = Config.fromfile(f'{ROOT}/configs/ce/ce_r18imagenet_pacs.py')
    use_made_data(cfg, tmp_path, make_pacs(tmp_path / 'pacs'))
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    shrink(cfg)
    cfg[f'{changed}_dataloader'].dataset.test_domain = 'photo'
    said = f'photo in {changed}_dataloader.*{changed}_dataloader.dataset.test_domain='
    with pytest.raises(PreflightError, match=said):
        Runner.from_cfg(cfg).train()
