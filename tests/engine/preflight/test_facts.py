"""Facts about data sets and models."""

import cv2
import numpy as np
import pytest
import torch
from helpers import TINY_CLASSIFIER
from mmengine.dataset import RepeatDataset
from mmengine.registry import MODELS as ROOT_MODELS
from mmpretrain.datasets import KFoldDataset
from torch.utils.data import ConcatDataset

from mmfer.datasets import SyntheticFaces
from mmfer.datasets.synthetic_faces import EXPRESSIONS
from mmfer.engine.preflight.facts import (
    class_sets,
    classes_of_config,
    image_datasets,
    model_facts,
    prepared_images,
    stated_classes,
)
from mmfer.registry import MODELS


def faces(**options):
    return SyntheticFaces(
        **dict(
            dict(
                num_samples=14,
                size=36,
                pipeline=[dict(type='PackFERInputs', meta_keys=())],
            ),
            **options,
        )
    )


def test_classes_in_wrappers():
    turned = faces(metainfo=dict(classes=EXPRESSIONS[::-1]))
    assert stated_classes(RepeatDataset(faces(), 2)) == EXPRESSIONS
    assert (
        stated_classes(
            KFoldDataset(dict(type='SyntheticFaces', num_samples=14, pipeline=[]))
        )
        == EXPRESSIONS
    )
    joined = ConcatDataset([faces(), turned])
    assert list(class_sets('train', joined)) == [
        ('train', None),
        ('train (part 0)', EXPRESSIONS),
        ('train (part 1)', EXPRESSIONS[::-1]),
    ]
    assert list(image_datasets(joined)) == joined.datasets
    assert len(prepared_images(joined)) == 28
    # Data sets of other libraries.
    plain = [(torch.zeros(3, 8, 8), 1)]
    assert list(class_sets('train', plain)) == [('train', None)]
    assert prepared_images(plain) == []


def test_classes_are_known_without_loading(tmp_path):
    for name in ('b', 'a'):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'x.png'), np.zeros((8, 8), np.uint8))
    assert classes_of_config(
        dict(type='ImageFolders', data_root=str(tmp_path), pipeline=[])
    ) == ('a', 'b')
    assert classes_of_config(dict(type='RAFDB', data_root='/none')) is not None
    assert classes_of_config(dict(type='ImageFolders', data_root='/none')) is None


ALUM = dict(
    TINY_CLASSIFIER,
    neck=dict(type='UncertaintyNeck'),
    head=dict(type='ALUMHead'),
    latent_compensation=dict(),
)


@pytest.mark.parametrize(
    'model, outputs, norms',
    [
        (TINY_CLASSIFIER, 7, []),
        (ALUM, 7, ['neck.mean.4 (BatchNorm1d)', 'neck.log_var.4 (BatchNorm1d)']),
        (dict(type='DualNetwork', network1=TINY_CLASSIFIER), 7, []),
        (
            dict(
                TINY_CLASSIFIER,
                neck=None,
                head=dict(type='MultiTaskHead', label_sets=[7, 'va']),
            ),
            7,
            [],
        ),
        (
            dict(
                TINY_CLASSIFIER,
                neck=None,
                head=dict(type='MultiTaskHead', label_sets=['va']),
            ),
            None,
            [],
        ),
        (
            dict(
                type='JointGAN',
                encoder=dict(
                    TINY_CLASSIFIER, neck=None, head=dict(type='MultiTaskHead')
                ),
                decoder=dict(base_channels=4),
                discriminator=dict(base_channels=4),
            ),
            7,
            [],
        ),
    ],
    ids=['ce', 'alum', 'dual', 'multitask', 'va', 'gan'],
)
def test_facts_of_models(model, outputs, norms):
    model = MODELS.build(
        dict(
            model,
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                input_shape=(1, 32, 32),
                num_classes=7,
                mean=[127.5],
                std=[127.5],
            ),
        )
    )
    model.train()
    next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)).eval()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    assert model_facts(model, None) == (outputs, norms)
    assert modes == [m.training for m in model.modules()]
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_facts_of_a_model_of_mmpretrain():
    """Its data preprocessor states no shape; that of an image is taken."""
    model = ROOT_MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=64),
        )
    )
    assert model_facts(model, torch.zeros(3, 32, 32, dtype=torch.uint8)) == (
        5,
        [
            'backbone.layer4.0.bn1 (BatchNorm2d)',
            'backbone.layer4.0.bn2 (BatchNorm2d)',
            'backbone.layer4.0.downsample.1 (BatchNorm2d)',
            'backbone.layer4.1.bn1 (BatchNorm2d)',
            'backbone.layer4.1.bn2 (BatchNorm2d)',
        ],
    )
    # Statistics of maps of 2 x 2 pixels are possible.
    assert model_facts(model, torch.zeros(3, 64, 64, dtype=torch.uint8)) == (5, [])
    # A model that cannot be run is asked for its number of classes.
    assert model_facts(model, torch.zeros(1, 64, 64)) == (5, [])
    assert model_facts(model, None) == (5, [])


def test_named_layers_are_those_that_fail():
    model = MODELS.build(
        dict(
            ALUM,
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=(1, 32, 32), num_classes=7
            ),
        )
    )
    model.train()
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        model(torch.zeros(1, 1, 32, 32), mode='tensor')
