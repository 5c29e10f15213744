"""Stage files of version 0.1 are still found.

``tests/data/gaave_stages`` was written by mmfer 0.1.0 with :func:`clean_faces`:
the results of four stages, and the decisions that followed from them. The
config stands here in full, so that no config file decides what is found.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import STEPS, patch_training
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmfer.methods.gaave import GAAVE
from mmfer.registry import DATASETS

FILES = Path(__file__).parents[1] / 'data/gaave_stages'
LOAD = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=(36, 36)),
    dict(type='CenterCrop', crop_size=32),
]
FLIP = dict(type='RandomFlip', prob=0.5, direction='horizontal')
PACK = dict(type='PackFERInputs')
CONFIG = dict(
    model=dict(
        type='FERClassifier',
        backbone=dict(
            type='ResNetSmallStem', depth=18, stem_channels=8, base_channels=8
        ),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
    ),
    data_preprocessor=dict(
        type='FERDataPreprocessor',
        input_shape=(1, 32, 32),
        num_classes=7,
        mean=[127.5],
        std=[63.75],
    ),
    train_dataloader=dict(
        batch_size=8,
        num_workers=0,
        dataset=dict(
            type='SyntheticFaces',
            split='train',
            num_samples=64,
            size=36,
            label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0),
            pipeline=[*LOAD, FLIP, PACK],
        ),
        sampler=dict(type='DefaultSampler', shuffle=True),
        drop_last=True,
    ),
    val_dataloader=dict(
        batch_size=50,
        num_workers=0,
        dataset=dict(
            type='SyntheticFaces',
            split='test',
            num_samples=14,
            size=36,
            pipeline=[*LOAD, PACK],
        ),
        sampler=dict(type='DefaultSampler', shuffle=False),
    ),
    train_cfg=dict(by_epoch=True, max_epochs=8),
    optim_wrapper=dict(optimizer=dict(type='Adam', lr=5e-3)),
    param_scheduler=dict(type='MultiStepLR', by_epoch=True, milestones=[6], gamma=0.1),
    randomness=dict(seed=0),
)
OPTIONS = dict(
    STEPS, tau=0, head=[2, 4, 6], attack=dict(epsilon=0.02), fit='full', seed=3
)


def clean_faces(root):
    """Clean 64 drawn faces; return the decisions."""
    cfg = Config(CONFIG)
    dataset, other = (
        DATASETS.build(cfg[name].dataset)
        for name in ('train_dataloader', 'val_dataloader')
    )
    logger = MMLogger.get_instance('test_gaave_stages')
    return GAAVE(**OPTIONS)(cfg, dataset, other.pipeline, str(root), logger)[0]


def test_stages_of_version_0_1_are_found(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('a stage of version 0.1 is not found')

    patch_training(monkeypatch, refuse)
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    found = clean_faces(tmp_path)
    with np.load(FILES / 'decisions.npz') as expected:
        assert set(expected.files) == set(found._fields)
        for name, values in found._asdict().items():
            np.testing.assert_array_equal(values, expected[name])
    # The files tell something: each decision occurs, and k has many values.
    assert set(found.decision) == {'keep', 'relabel', 'drop'}
    assert len(set(found.attack_steps)) > 3


def test_other_stages_are_not_taken(tmp_path, monkeypatch):
    """Another rate is another stage, though all else is the same."""

    class Trained(Exception):
        pass

    def note(*args, **kwargs):
        raise Trained

    patch_training(monkeypatch, note)
    monkeypatch.setitem(
        CONFIG, 'optim_wrapper', dict(optimizer=dict(type='Adam', lr=4e-3))
    )
    shutil.copytree(FILES, tmp_path, dirs_exist_ok=True)
    with pytest.raises(Trained):
        clean_faces(tmp_path)
