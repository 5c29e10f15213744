"""How much of an image a pipeline leaves."""

import numpy as np
import pytest

from mmfer.engine.preflight.compare_images import check_crops, check_narrow_views
from mmfer.engine.preflight.pipeline_probe import prepare_image, spread_positions
from mmfer.registry import TRANSFORMS
from mmfer.utils.random import random_state_kept


def look(size, *steps, channels=()):
    image = np.random.default_rng(0).integers(0, 256, (*size, *channels), np.uint8)
    transforms = [TRANSFORMS.build(dict(step)) for step in steps]
    before = image.copy()
    found = prepare_image(transforms, dict(img=image, gt_label=0), 'x.png')
    assert np.array_equal(image, before)
    return found


CROP = dict(type='CenterCrop', crop_size=44)
RESIZE = dict(type='Resize', scale=(48, 48), interpolation='area')
PACK = dict(type='PackFERInputs', meta_keys=())


@pytest.mark.parametrize(
    'steps',
    [
        [CROP],
        [dict(type='RandomCrop', crop_size=44)],
        [dict(type='RandomFlip', prob=1.0), CROP],
        [
            dict(type='NumpyToPIL'),
            dict(type='torchvision/CenterCrop', size=44),
            dict(type='PILToNumpy'),
        ],
        [CROP, dict(type='Resize', scale=(224, 224))],
        [dict(type='RandomApply', prob=1.0, transforms=[CROP])],
    ],
)
def test_crops_of_large_images_are_found(steps):
    found = look((200, 224), *steps, PACK, channels=(3,))
    assert found.visible_before_resize == pytest.approx(44 * 44 / (200 * 224), rel=0.1)
    assert found.size == (200, 224) and found.shape[0] == 3
    message = check_crops('train_dataloader', [found], (48, 40))
    assert '4% is left of x.png (200 x 224 pixels)' in message
    assert "dict(type='Resize', scale=(40, 48)" in message


@pytest.mark.parametrize(
    'size, steps',
    [
        ((48, 48), [CROP]),
        ((48, 48), [RESIZE, CROP]),
        ((224, 200), [RESIZE, CROP]),
        ((20, 20), [RESIZE, CROP]),
        ((224, 224), [dict(type='RandomResizedCrop', scale=44)]),
        (
            (100, 80),
            [
                dict(type='ResizeEdge', scale=64, edge='short'),
                dict(type='CenterCrop', crop_size=56),
            ],
        ),
        ((32, 32), [dict(type='RandomCrop', crop_size=32, padding=4)]),
        ((40, 40), [dict(type='Pad', size=(48, 48)), CROP]),
        (
            (60, 60),
            [
                dict(type='Rotate', angle=12.0, prob=1.0),
                dict(type='RandomErasing', erase_prob=1.0),
            ],
        ),
        (
            (60, 60),
            [
                dict(type='NumpyToPIL'),
                dict(type='torchvision/Resize', size=(48, 48)),
                dict(type='torchvision/ColorJitter', brightness=0.8),
                dict(type='PILToNumpy'),
            ],
        ),
        ((48, 48), []),
    ],
)
def test_whole_faces_are_let_through(size, steps):
    found = look(size, *steps, PACK, channels=(3,))
    assert found.visible_before_resize > 0.8 and found.visible > 0.5
    assert check_crops('train', [found]) is None
    assert check_narrow_views('train', [found]) is None


def test_small_random_crops_in_a_row_are_no_narrow_view():
    """mmpretrain's default shows 8 % to 100 %, so over time the whole face."""
    with random_state_kept():
        np.random.seed(0)
        found = [
            look((48, 48), dict(type='RandomResizedCrop', scale=44), PACK)
            for _ in range(200)
        ]
    assert min(image.visible for image in found) > 0.5
    narrow = look(
        (48, 48),
        dict(type='RandomResizedCrop', scale=44, crop_ratio_range=(0.05, 0.2)),
        PACK,
    )
    assert narrow.visible < 0.5


def test_panoramas_are_warned_of_only():
    """A resize of the shorter edge cuts panoramas, but suits photos."""
    found = look((50, 300), dict(type='ResizeEdge', scale=48, edge='short'), CROP, PACK)
    assert check_crops('train', [found]) is None
    assert 'of x.png (50 x 300 pixels)' in check_narrow_views('t', [found])


def test_pipelines_that_cannot_be_followed():
    assert prepare_image([], dict(gt_label=0), 'x') is None
    lists = look(
        (48, 48),
        dict(
            type='TestTimeAug',
            transforms=[[dict(type='RandomFlip', prob=p) for p in (1.0, 0.0)], [PACK]],
        ),
    )
    assert lists.shape is None and lists.visible == 1


def test_positions_are_spread():
    assert spread_positions(3, 32) == [0, 1, 2]
    places = spread_positions(1000, 32)
    assert len(places) == 32 and places[0] == 0 and places[-1] == 999
    assert max(np.diff(places)) <= 33
