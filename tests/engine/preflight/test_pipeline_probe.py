"""How much of an image a pipeline leaves."""

from unittest import mock

import cv2
import numpy as np
import pytest

from mmfer.datasets.transforms import loading
from mmfer.engine.preflight import pipeline_probe
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


def test_faces_in_photos():
    """The photo around a face is meant to be lost, but not a part of the face."""
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    steps = [TRANSFORMS.build(step) for step in (dict(type='CropFace'), CROP, PACK)]
    info = dict(img=photo, gt_label=0, face_box=(100, 50, 148, 98))
    found = prepare_image(steps, info, 'x.png')
    assert found.size == (48, 48) and found.visible_before_resize > 0.8
    info = dict(info, face_box=(100, 50, 300, 250))
    found = prepare_image(steps, info, 'x.png')
    assert '5% is left of x.png (200 x 200 pixels)' in check_crops(
        'train_dataloader', [found], (48, 48)
    )


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


# -- photos -------------------------------------------------------------------
SIZES = [(1200, 900), (900, 1200), (1200, 900)]


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Large JPEG files, of which two have one size."""
    folder = tmp_path_factory.mktemp('photos')
    paths = []
    for i, size in enumerate(SIZES):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        paths.append(str(folder / f'{i}.jpg'))
        cv2.imwrite(paths[-1], cv2.blur(pixels, (9, 9)))
    return paths


@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
@pytest.mark.parametrize(
    'steps',
    [
        [CROP],
        [RESIZE, CROP],
        [dict(type='RandomCrop', crop_size=500), RESIZE],
        [dict(type='RandomResizedCrop', scale=44)],
        [dict(type='ResizeEdge', scale=48), CROP],
    ],
)
def test_headers_of_photos_give_what_their_pixels_give(
    photos, color_type, steps, monkeypatch
):
    load = dict(type='LoadFERImage', color_type=color_type)
    transforms = [TRANSFORMS.build(dict(step)) for step in (load, *steps, PACK)]

    def probe(shares):
        with random_state_kept():
            np.random.seed(0)
            return [
                prepare_image(transforms, dict(img_path=path, gt_label=0), path, shares)
                for path in photos
            ]

    decode = mock.Mock(wraps=loading.decode_image)
    monkeypatch.setattr(loading, 'decode_image', decode)
    shares = {}
    fast = probe(shares)
    assert not decode.called
    # There are two sizes before the first step, and one or two after it.
    if steps[0]['type'] != 'RandomResizedCrop':
        assert len(steps) < len(shares) <= 2 * len(steps)
    monkeypatch.setattr(pipeline_probe, 'LARGE', 10**9)
    slow = probe(None)
    assert decode.call_count == 3
    for a, b, size in zip(fast, slow, SIZES):
        assert a.size == b.size == size and a.shape == b.shape
        # A random crop shows enough of an image, or each time the same.
        for name in ('visible', 'visible_before_resize'):
            x, y = getattr(a, name), getattr(b, name)
            enough = min(x, y) >= pipeline_probe.ENOUGH**2
            assert enough or x == pytest.approx(y, rel=0.02)


def test_small_and_damaged_photos_are_decoded(photos, tmp_path, monkeypatch):
    load = TRANSFORMS.build(dict(type='LoadFERImage'))
    small, text = tmp_path / 'small.jpg', tmp_path / 'text.jpg'
    cv2.imwrite(str(small), np.zeros((50, 40, 3), np.uint8))
    text.write_text('no image')
    for path in (small, text):
        assert pipeline_probe.blank_photo(load, dict(img_path=str(path))) is None
    given = dict(img_path=photos[0])
    blank = pipeline_probe.blank_photo(load, given)
    assert given == dict(img_path=photos[0])
    real = load(dict(given))
    assert {k: v for k, v in blank.items() if k != 'img'} == {
        k: v for k, v in real.items() if k != 'img'
    }
    assert blank['img'].shape == real['img'].shape
    assert blank['img'].dtype == real['img'].dtype


class FaceCrop:
    """A user's step, which looks up where the face is."""

    BOXES = {'a': (0, 10), 'b': (0, 90)}

    def __call__(self, results):
        start, end = self.BOXES[results['img_path']]
        return dict(results, img=results['img'][start:end])


def test_steps_of_users_are_measured_for_each_image():
    image, shares = np.zeros((100, 100), np.uint8), {}
    seen = [
        prepare_image([FaceCrop()], dict(img=image, img_path=name), name, shares)
        for name in 'ab'
    ]
    assert not shares
    assert [s.visible for s in seen] == pytest.approx([0.1, 0.9], abs=0.02)


def test_wrapped_and_boxed_steps_are_not_mistaken():
    crop = TRANSFORMS.build(dict(CROP))
    wrapped = TRANSFORMS.build(dict(type='RandomApply', prob=1.0, transforms=[CROP]))
    image = np.zeros((60, 60), np.uint8)
    assert pipeline_probe.share_key(wrapped, dict(img=image)) is None
    keys = {
        pipeline_probe.share_key(crop, dict(img=x, **more))
        for x in (image, image[:50], image.astype(np.float32))
        for more in (dict(gt_label=1), dict(gt_label=2), dict(box=(1, 2)))
    }
    assert len(keys) == 6
