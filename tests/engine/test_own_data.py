"""``--data``: images of one's own in any config."""

from pathlib import Path

import pytest
from helpers import CONFIGS
from mmengine.config import Config
from PIL import Image

from mmfer.engine.own_data import name_with_data, take_all
from mmfer.engine.variants import derive


@pytest.fixture
def root(tmp_path):
    for name in ('a', 'b', 'c', 'd'):
        (tmp_path / 'My Faces' / name).mkdir(parents=True)
        for i in range(10):
            Image.new('L', (8, 8)).save(tmp_path / 'My Faces' / name / f'{i}.png')
    return str(tmp_path / 'My Faces')


def derived(name, *flags):
    return derive(Config.fromfile(f'{CONFIGS}/{name}.py'), *flags)


@pytest.mark.parametrize(
    'name',
    [
        'ce/ce_r18_synthfaces_noise30',
        'alum/alum_r18_rafdb_noise30',
        'resup/resup_r18_ferplus_noise30',
    ],
)
def test_data_set_is_replaced(name, root):
    before = Config.fromfile(f'{CONFIGS}/{name}.py')
    cfg = derived(name, None, None, root)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset, old = cfg[loader].dataset, before[loader].dataset
        assert dataset.type == 'ImageFolders' and dataset.data_root == root
        assert dataset.pipeline == old.pipeline
        assert 'label_noise' not in dataset and 'split' not in dataset
    assert cfg.val_dataloader.dataset.test_mode
    assert cfg.data_preprocessor.num_classes == 4
    assert cfg.data_preprocessor.input_shape == before.data_preprocessor.input_shape
    assert cfg.model == before.model and cfg.optim_wrapper == before.optim_wrapper
    assert Path(cfg.filename).stem.endswith('_my-faces')


def test_with_noise_and_cleaning(root):
    cfg = derived('ce/ce_r18_ferplus', 'symmetric:0.2', 'gaave', root)
    assert cfg.train_dataloader.dataset.label_noise.rate == 0.2
    assert 'label_noise' not in cfg.val_dataloader.dataset
    assert cfg.custom_hooks[-1] == dict(type='GAAVEHook')
    assert Path(cfg.filename).stem == 'gaave_ce_r18_my-faces_noise20'


def test_all_images_are_cleaned(root):
    cfg = derived('ce/ce_r18_synthfaces', None, None, root)
    take_all(cfg)
    assert 'fold' not in cfg.train_dataloader.dataset
    assert list(cfg.val_dataloader.dataset.fold) == [0, 10]


def test_flags_without_data():
    with pytest.raises(ValueError, match='belong to --data'):
        derived('ce/ce_r18_synthfaces', None, None, None, 'x')


def test_classes_between_commas(root):
    cfg = derived('ce/ce_r18_synthfaces', None, None, root, None, 'd,a')
    assert cfg.data_preprocessor.num_classes == 2
    assert list(cfg.val_dataloader.dataset.classes) == ['d', 'a']


@pytest.mark.parametrize(
    'stem, name',
    [
        ('alum_r18_rafdb_noise30', 'alum_r18_x'),
        ('ce_cnn7_cifar10lt50', 'ce_cnn7_x'),
        ('ce_r18_synthfaces', 'ce_r18_x'),
        ('my_own', 'my_own_x'),
    ],
)
def test_name(stem, name):
    assert name_with_data(stem, 'x') == name
