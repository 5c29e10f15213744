"""Test-time augmentation: torchvision's ten crops, and averages of logits."""

import copy

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torchvision.transforms import TenCrop

from mmfer.models.tta import mean_logits, mean_probabilities
from mmfer.registry import MODELS, TRANSFORMS


def ten_crop_pipeline():
    """The steps of FER2013's config after the image is loaded."""
    return Config.fromfile(f'{CONFIGS}/rul/rul_r18_fer2013.py').tta_pipeline[1:]


@pytest.mark.parametrize('shape', [(48, 48), (48, 48, 1), (48, 48, 3)])
def test_ten_crops_are_those_of_torchvision(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    results = dict(img=image, img_shape=shape[:2], sample_id=0, img_path='')
    for step in ten_crop_pipeline():
        results = TRANSFORMS.build(step)(results)
    channels = image if image.ndim == 3 else image[..., None]
    wanted = TenCrop(44)(torch.from_numpy(channels).permute(2, 0, 1))
    found = results['inputs']
    assert len(found) == len(wanted) == 10
    assert {view.numpy().tobytes() for view in found} == {
        view.numpy().tobytes() for view in wanted
    }


@pytest.mark.parametrize(
    'corner, top, left',
    [
        ('top_left', 0, 0),
        ('top_right', 0, 3),
        ('bottom_left', 2, 0),
        ('bottom_right', 2, 3),
    ],
)
def test_corner_crop(corner, top, left):
    image = np.arange(42).reshape(6, 7)
    crop = TRANSFORMS.build(dict(type='CornerCrop', crop_size=4, corner=corner))
    results = crop(dict(img=image))
    assert (results['img'] == image[top : top + 4, left : left + 4]).all()
    assert results['img_shape'] == (4, 4)
    with pytest.raises(ValueError, match='6 x 3 pixels is smaller than crop_size=4'):
        crop(dict(img=image[:, :3]))


def test_wrong_options():
    for options in (dict(corner='top'), dict(crop_size=0)):
        with pytest.raises(ValueError, match=f'{next(iter(options))} must'):
            TRANSFORMS.build(
                dict(
                    type='CornerCrop',
                    **dict(dict(crop_size=4, corner='top_left'), **options),
                )
            )
    with pytest.raises(ValueError, match='average must'):
        build_tta(average='votes')


class Model(torch.nn.Module):
    """What a wrapper for test-time augmentation asks for."""

    def test_step(self, data):
        raise NotImplementedError


def build_tta(**options):
    return MODELS.build(dict(type='AverageUncertaintyTTA', module=Model(), **options))


def test_mean_logits_against_a_loop():
    """The logits of each view, averaged in float64, then one softmax."""
    logits = 5 * torch.randn(10, 7, dtype=torch.float64)
    mean = [sum(logits[v, c].item() for v in range(10)) / 10 for c in range(7)]
    total = sum(np.exp(value) for value in mean)
    found = mean_logits(logits.softmax(dim=1))
    for c in range(7):
        assert found[c].item() == pytest.approx(np.exp(mean[c]) / total, rel=1e-12)


def test_both_averages_may_predict_different_classes():
    """A view that is very sure outvotes two others only by its logits."""
    scores = torch.tensor([[0.9, 0.1], [0.9, 0.1], [1e-6, 1 - 1e-6]])
    assert mean_probabilities(scores).argmax() == 0
    assert mean_logits(scores).argmax() == 1


def test_probabilities_of_zero_are_finite():
    """float32 has no probability below 1e-45."""
    scores = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = mean_logits(scores)
    assert found.isfinite().all() and found[0] == found[1] > 0.49


@pytest.mark.parametrize('average', ['probabilities', 'logits'])
def test_merged_samples(average):
    scores = torch.randn(4, 3).softmax(dim=1)
    views = []
    for v in range(4):
        sample = DataSample(metainfo=dict(sample_id=7)).set_gt_label(2)
        sample.set_pred_score(scores[v])
        sample.set_field(torch.tensor(float(v)), 'uncertainty')
        views.append(sample)
    (merged,) = build_tta(average=average).merge_preds([copy.deepcopy(views)])
    mean = dict(probabilities=mean_probabilities, logits=mean_logits)[average](scores)
    assert torch.allclose(merged.pred_score, mean)
    assert merged.pred_label == mean.argmax()
    assert merged.uncertainty == 1.5 and merged.sample_id == 7 and merged.gt_label == 2
