"""The preprocessor gives the numbers of mmpretrain's, for stacked samples too."""

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch, stack_packed
from mmfer.models.data_preprocessor import augments_batches
from mmfer.registry import MODELS

OPTIONS = dict(num_classes=3, mean=[1.0, 2, 3], std=[4.0, 5, 6], to_rgb=True)


def packed(count=4):
    generator = torch.Generator().manual_seed(0)
    return [
        dict(
            inputs=torch.randint(
                256, (3, 8, 8), dtype=torch.uint8, generator=generator
            ),
            data_samples=DataSample(metainfo=dict(sample_id=i)).set_gt_label(i % 3),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    'options',
    [
        OPTIONS,
        dict(OPTIONS, to_rgb=False),
        dict(num_classes=3),
        dict(OPTIONS, to_onehot=True),
        dict(OPTIONS, pad_size_divisor=16),
    ],
)
def test_as_mmpretrain(options):
    expected = MODELS.build(dict(type='ClsDataPreprocessor', **options))(
        default_collate(packed()), training=True
    )
    found = MODELS.build(dict(type='FERDataPreprocessor', **options))(
        stack_packed(packed()), training=True
    )
    assert torch.equal(found['inputs'], expected['inputs'])
    for ours, theirs in zip(
        found['data_samples'], expected['data_samples'], strict=True
    ):
        assert torch.equal(ours.gt_label, theirs.gt_label)
        if 'gt_score' in theirs:
            assert torch.equal(ours.gt_score, theirs.gt_score)


def test_mixup_as_mmpretrain():
    options = dict(OPTIONS, batch_augments=dict(augments=dict(type='Mixup', alpha=1.0)))
    results = []
    for kind, batch in (
        ('ClsDataPreprocessor', default_collate(packed())),
        ('FERDataPreprocessor', stack_packed(packed())),
    ):
        np.random.seed(0), torch.manual_seed(0)
        results.append(MODELS.build(dict(type=kind, **options))(batch, training=True))
    theirs, ours = results
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert isinstance(ours['data_samples'], SampleBatch)
    assert torch.equal(
        ours['data_samples'].gt_score,
        torch.stack([sample.gt_score for sample in theirs['data_samples']]),
    )


def test_inputs_are_not_changed_in_place():
    images = torch.rand(2, 3, 8, 8)
    before = images.clone()
    preprocessor = MODELS.build(dict(type='FERDataPreprocessor', mean=[1], std=[2]))
    data = dict(inputs=images, data_samples=SampleBatch(dict(gt_label=torch.ones(2))))
    preprocessor(data)
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    'model, answer',
    [
        (dict(type='FERClassifier', data_preprocessor=None), True),
        (dict(type='mmfer.ReSup'), True),
        (dict(type='ImageClassifier', data_preprocessor=dict(num_classes=3)), False),
        (
            dict(
                type='ImageClassifier',
                data_preprocessor=dict(type='mmfer.FERDataPreprocessor'),
            ),
            True,
        ),
        (
            dict(
                type='FERClassifier', data_preprocessor=dict(type='ClsDataPreprocessor')
            ),
            False,
        ),
        (dict(), False),
    ],
)
def test_which_models_augment_batches(model, answer):
    assert augments_batches(model) is answer
