"""Which steps of a pipeline are done once, and which for whole batches."""

import re
from pathlib import Path

import pytest
from helpers import CONFIGS
from mmengine.config import Config
from mmengine.dataset import Compose

from mmfer.datasets.batches import split_pipeline
from mmfer.registry import TRANSFORMS

LOAD, PACK = dict(type='LoadFERImage'), dict(type='PackFERInputs')
RESIZE = dict(type='Resize', scale=(20, 20))
FLIP = dict(type='RandomFlip', prob=0.5)
JITTER = dict(type='ColorJitter', brightness=0.5)


def split(*steps):
    return split_pipeline(Compose([TRANSFORMS.build(step) for step in steps]))


def names(steps):
    return [type(step).__name__ for step in steps]


def test_head_and_operations():
    parts = split(LOAD, RESIZE, FLIP, PACK)
    assert names(parts.head) == ['LoadFERImage', 'Resize']
    assert names(parts.rest) == ['RandomFlip']
    assert names(parts.operations) == ['FlipOperation']
    assert parts.fixed_size and parts.reason is None
    assert names([parts.pack]) == ['PackFERInputs']


def test_random_step_before_the_resize():
    parts = split(LOAD, FLIP, RESIZE, PACK)
    assert names(parts.head) == ['LoadFERImage']
    assert names(parts.operations) == ['FlipOperation', 'ResizeOperation']
    assert not parts.fixed_size and parts.reason is None


@pytest.mark.parametrize(
    'steps, reason',
    [
        ((LOAD, RESIZE, JITTER, FLIP, PACK), r'ColorJitter.*no form for whole'),
        ((LOAD, JITTER, PACK), r'ColorJitter'),
        ((LOAD, FLIP), 'last step'),
        ((LOAD, dict(type='PackInputs')), 'img_shape.*PackFERInputs'),
        ((FLIP, PACK), 'LoadFERImage'),
        ((), 'last step'),
    ],
)
def test_pipelines_that_run_for_each_image(steps, reason):
    parts = split(*steps)
    assert parts.operations == []
    assert re.search(reason, parts.reason)


def test_pipeline_of_another_kind():
    assert 'last step' in split_pipeline(lambda results: results).reason


def test_recipe_tells_what_pixels_depend_on():
    first = split(LOAD, RESIZE, FLIP, PACK)
    assert first.recipe == split(LOAD, RESIZE, PACK).recipe
    other = dict(RESIZE, interpolation='area')
    assert first.recipe != split(LOAD, other, PACK).recipe
    assert (
        first.recipe != split(dict(LOAD, color_type='grayscale'), RESIZE, PACK).recipe
    )


CASES = sorted(Path(CONFIGS, '_base_/datasets').glob('*.py'))


@pytest.mark.parametrize('path', CASES, ids=lambda path: path.stem)
@pytest.mark.parametrize('loader', ['train_dataloader', 'val_dataloader'])
def test_every_pipeline_of_the_configs_has_whole_batches(path, loader):
    dataset = Config.fromfile(path).get(loader, {}).get('dataset', {})
    if not dataset.get('pipeline'):
        pytest.skip('this file leaves the pipeline to its base')
    parts = split(*dataset.pipeline)
    if dict(type='CropFace') in dataset.pipeline:
        # Several samples have one file, by which pixels would be kept.
        assert parts.reason == 'CropFace() has no form for whole batches'
        return
    if any(step.type == 'SecondView' for step in dataset.pipeline):
        # AutoAugment has the operations of torchvision, for one image.
        assert re.fullmatch(r'SecondView\(.*\) has no form for whole .*', parts.reason)
        return
    assert parts.reason is None
    assert parts.head
