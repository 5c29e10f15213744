"""Pixels of each operation are those of the step of the pipeline for one image.

The step gets the parameters of the plan instead of its own draws.
"""

import numpy as np
import pytest
import torch
from mmcv.transforms import RandomFlip
from operation_helpers import (
    AFFINE,
    COLOR,
    ERASE,
    NOISE,
    ROTATE,
    as_batch,
    as_images,
    made_images,
    make,
    plan_for,
    run,
)
from torchvision.transforms import RandomAffine

from mmfer.datasets.batches.operations import batch_operations
from mmfer.registry import TRANSFORMS
from mmfer.utils.counter_random import normals, random_bytes

SHAPES = [(21, 30, 3), (44, 44, 1)]


def one_by_one(step, images, draws, monkeypatch, owner=None):
    """Apply a step to each image, with its draws replaced.

    Args:
        draws (dict): For each method that draws, what it returns for image i.
        owner (object | None): Who has these methods; the step by default.
    """
    results = []
    for i, image in enumerate(images):
        for name, values in draws.items():
            monkeypatch.setattr(
                step if owner is None else owner,
                name,
                lambda *args, value=values[i], **kwargs: value,
                raising=False,
            )
        # Grey images have two dimensions until they are packed.
        image = image[:, :, 0] if image.shape[2] == 1 else image
        result = np.asarray(step(dict(img=image.copy()))['img'])
        results.append(result.reshape(*result.shape[:2], images.shape[3]))
    return np.stack(results)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='RandomFlip', prob=0.5),
        dict(type='RandomFlip', prob=0.9, direction=['vertical', 'diagonal']),
        dict(type='RandomFlip', prob=[0.5, 0.5], direction=['horizontal', 'diagonal']),
    ],
)
def test_flip(cfg, shape, monkeypatch):
    step, operation = make(cfg)
    images = made_images(12, *shape)
    plan = plan_for(operation, 12, shape)
    names = {(1, 0): 'horizontal', (0, 1): 'vertical', (1, 1): 'diagonal', (0, 0): None}
    chosen = [names[tuple(row)] for row in plan.int().tolist()]
    assert len(set(chosen)) == len(operation.directions) + 1 - (
        cfg['prob'] == [0.5, 0.5]
    )
    expected = one_by_one(step, images, dict(_choose_direction=chosen), monkeypatch)
    assert np.array_equal(run(operation, images, plan), expected)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(
    'cfg',
    [
        dict(crop_size=(20, 30)),
        dict(crop_size=17, padding=5),
        dict(crop_size=(44, 31), padding=(3, 2)),
        dict(crop_size=40, padding=(1, 2, 3, 4), pad_val=77),
        dict(crop_size=60, pad_if_needed=True, pad_val=12.5),
        dict(crop_size=51, padding=2, pad_if_needed=True),
        dict(crop_size=17, padding=5, padding_mode='reflect'),
    ],
)
def test_crop(cfg, shape, monkeypatch):
    """Also: one number as pad_val goes to the first channel, as in OpenCV."""
    step, operation = make(dict(cfg, type='RandomCrop'))
    images = made_images(12, *shape)
    plan = plan_for(operation, 12, shape)
    height, width, _ = operation.output_shape(shape)
    boxes = [(top, left, height, width) for top, left in plan.int().tolist()]
    expected = one_by_one(step, images, dict(rand_crop_params=boxes), monkeypatch)
    assert np.array_equal(run(operation, images, plan), expected)


def test_crop_with_a_border_of_three_levels(monkeypatch):
    step, operation = make(
        dict(type='RandomCrop', crop_size=20, padding=6, pad_val=(250, 0, 31))
    )
    images = made_images(9, 20, 20, 3)
    plan = plan_for(operation, 9, (20, 20, 3))
    boxes = [(top, left, 20, 20) for top, left in plan.int().tolist()]
    expected = one_by_one(step, images, dict(rand_crop_params=boxes), monkeypatch)
    assert np.array_equal(run(operation, images, plan), expected)


@pytest.mark.parametrize('shape', [*SHAPES, (23, 22, 3), (8, 9, 1)])
@pytest.mark.parametrize('size', [20, (21, 7), (50, 13)])
def test_center_crop(shape, size, monkeypatch):
    step, operation = make(dict(type='CenterCrop', crop_size=size))
    images = made_images(2, *shape)
    expected = one_by_one(step, images, {}, monkeypatch)
    assert np.array_equal(run(operation, images, np.zeros((2, 0))), expected)
    assert operation.output_shape(shape) == expected.shape[1:]


@pytest.mark.parametrize('smooth', [False, True])
@pytest.mark.parametrize('size', [(64, 50), (30, 21), (9, 100), (224, 224), (1, 1)])
@pytest.mark.parametrize('shape', [*SHAPES, (1, 7, 3)])
def test_resize(shape, size, smooth, monkeypatch):
    step, operation = make(dict(type='Resize', scale=size))
    images = made_images(3, *shape, smooth=smooth)
    result = run(operation, images, np.zeros((3, 0)))
    expected = one_by_one(step, images, {}, monkeypatch)
    assert result.shape == expected.shape
    assert differences(result, expected).max() <= 1
    # In float64, the result is the nearest grey level.
    exact = resized_by_hand(images, size)
    assert np.abs(result - exact).max() < 0.51


def resized_by_hand(images, size):
    """Half-pixel bilinear resizing in float64, without rounding."""
    for axis, length in ((2, size[0]), (1, size[1])):
        old = images.shape[axis]
        places = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, old - 1)
        weight = (places - low).reshape([-1] + [1] * (3 - axis))
        parts = [np.take(images.astype(float), index, axis) for index in (low, high)]
        images = parts[0] * (1 - weight) + parts[1] * weight
    return images


@pytest.mark.parametrize('shape', SHAPES)
def test_resized_crop(shape, monkeypatch):
    cfg = dict(type='RandomResizedCrop', scale=(33, 26), crop_ratio_range=(0.05, 1.0))
    step, operation = make(cfg)
    images = made_images(40, *shape)
    plan = plan_for(operation, 40, shape)
    boxes = [tuple(row) for row in plan.int().tolist()]
    expected = one_by_one(step, images, dict(rand_crop_params=boxes), monkeypatch)
    assert differences(run(operation, images, plan), expected).max() <= 1


def test_erase_with_a_color(monkeypatch):
    """Decimals of the colour are cut off, and the order of channels stays."""
    step, operation = make(ERASE)
    images = made_images(30, 21, 30, 3)
    plan = plan_for(operation, 30, (21, 30, 3))
    boxes = [tuple(row) for row in plan[:, :4].int().tolist()]
    draws = dict(random_patch=boxes, random_disable=[False] * 30)
    expected = one_by_one(step, images, draws, monkeypatch)
    result = run(operation, images, plan)
    assert np.array_equal(result, expected)
    top, left, height, width = max(boxes, key=lambda box: box[2] * box[3])
    inside = result[boxes.index((top, left, height, width))]
    assert inside[top, left].tolist() == [int(level) for level in COLOR]


@pytest.mark.parametrize('std', [None, (3.0, 40.0, 0.0)])
def test_erase_with_random_pixels(std):
    _, operation = make(
        dict(
            type='RandomErasing',
            erase_prob=1.0,
            mode='rand',
            fill_color=(20, 240, 99),
            fill_std=std,
        )
    )
    images = np.zeros((40, 30, 28, 3), np.uint8)
    plan = plan_for(operation, 40, (30, 28, 3))
    result = run(operation, images, plan)
    values = []
    for i, (top, left, height, width) in enumerate(plan[:, :4].int().tolist()):
        key, count = plan[i : i + 1, 4:], 30 * 28 * 3
        if std is None:
            filling = random_bytes(key, count).numpy()
        else:
            draws = normals(key, count).double().numpy().reshape(-1, 3)
            filling = np.trunc(draws * std + [20, 240, 99]).clip(0, 255)
        filling = filling.reshape(30, 28, 3)
        expected = np.zeros((30, 28, 3))
        box = slice(top, top + height), slice(left, left + width)
        expected[box] = filling[box]
        assert np.array_equal(result[i], expected)
        values.append(filling[box].reshape(-1, 3))
    values = np.concatenate(values)
    if std is None:
        assert abs(values.mean() - 127.5) < 5 * 73.9 / values.size**0.5
    else:
        assert abs(values[:, 0].mean() - 19.5) < 0.2 and (values[:, 2] == 99).all()


def test_noise_is_added_clipped_and_cut():
    _, operation = make(NOISE)
    images = made_images(5, 21, 30, 3)
    plan = plan_for(operation, 5, (21, 30, 3))
    noise = normals(plan[:, 1:], 21 * 30 * 3).double().numpy().reshape(images.shape)
    exact = (images + 30**0.5 * noise).clip(0, 255)
    result = run(operation, images, plan)
    # float32 may end on the other side of a whole number.
    near = np.abs(exact - np.rint(exact)) < 1e-4
    assert np.array_equal(result[~near], np.trunc(exact[~near]))
    assert differences(result, exact).max() <= 1 and near.mean() < 0.05


@pytest.mark.parametrize('smooth', [False, True])
@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize(
    'options',
    [{}, dict(angle=75.0), dict(pad_val=128), dict(center=(3.0, 7.0), scale=0.8)],
)
def test_rotate(options, shape, smooth, monkeypatch):
    step, operation = make(dict(ROTATE, **options))
    images = made_images(12, *shape, smooth=smooth)
    uniforms = np.random.default_rng(0).random((12, 3))
    plan = operation.plan(uniforms, shape)
    angle = step.angle
    draws = dict(
        random_disable=(uniforms[:, 0] > 0.7).tolist(),
        random_negative=np.where(uniforms[:, 1] < 0.5, -angle, angle).tolist(),
    )
    expected = one_by_one(step, images, draws, monkeypatch)
    result = run(operation, images, plan)
    # OpenCV before 5 rounds places to 1 / 32 of a pixel.
    limit = 2 if smooth else 16
    assert differences(result, expected).max() <= limit
    kept = uniforms[:, 0] > 0.7
    assert 0 < kept.sum() < 12 and np.array_equal(result[kept], images[kept])


def test_rotate_by_quarters_is_exact():
    _, operation = make(dict(ROTATE, angle=90.0, prob=1.0, random_negative_prob=0.0))
    images = made_images(3, 30, 30, 3)
    result = run(operation, images, operation.plan(np.zeros((3, 3)), (30, 30, 3)))
    # A positive angle is clockwise.
    assert np.array_equal(result, np.rot90(images, -1, (1, 2)))


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(fill=77),
        dict(shear=(-20, 20, -9, 15), degrees=(30, 60), center=(3, 5)),
        dict(scale=None, translate=None, shear=10),
    ],
)
@pytest.mark.parametrize('shape', SHAPES)
def test_affine(options, shape, monkeypatch):
    steps = [TRANSFORMS.build(cfg) for cfg in AFFINE]
    steps[1] = TRANSFORMS.build(dict(AFFINE[1], **options))
    _, (operation,) = batch_operations(steps)
    images = made_images(12, *shape)
    height, width, _ = shape
    uniforms = np.random.default_rng(0).random((12, operation.draws))
    plan = operation.plan(uniforms, shape)
    affine = steps[1].t

    def draw(limits, column):
        return limits[0] + (limits[1] - limits[0]) * uniforms[:, column]

    x, y = affine.translate or (0, 0)
    shifts = [
        [round(float(s)) for s in draw((-limit, limit), column)]
        for limit, column in ((x * width, 1), (y * height, 2))
    ]
    shear = (*(affine.shear or (0, 0)), 0, 0)
    drawn = zip(
        draw(affine.degrees, 0).tolist(),
        zip(*shifts),
        draw(affine.scale or (1, 1), 3).tolist(),
        zip(draw(shear[:2], 4).tolist(), draw(shear[2:4], 5).tolist()),
    )

    def whole(results):
        for step in steps:
            results = step(results)
        return results

    draws = dict(get_params=list(drawn))
    expected = one_by_one(whole, images, draws, monkeypatch, owner=RandomAffine)
    result = run(operation, images, plan)
    assert differences(result, expected).max() <= 1
    assert (result != expected).mean() < 0.02


def test_affine_by_whole_pixels_is_exact():
    steps = [TRANSFORMS.build(cfg) for cfg in AFFINE]
    steps[1] = TRANSFORMS.build(
        dict(AFFINE[1], degrees=0, scale=None, translate=(0.3, 0.2), fill=9)
    )
    _, (operation,) = batch_operations(steps)
    for shape in (*SHAPES, (224, 224, 3)):
        images = made_images(6, *shape)
        plan = plan_for(operation, 6, shape)
        result = run(operation, images, plan)
        for image, moved, row in zip(images, result, plan.numpy()):
            x, y = int(row[2]), int(row[5])
            assert np.array_equal(row, [1, 0, x, 0, 1, y])
            expected = np.full_like(image, 9)
            rows, columns = shape[0] - abs(y), shape[1] - abs(x)
            expected[max(-y, 0) :, max(-x, 0) :][:rows, :columns] = image[
                max(y, 0) :, max(x, 0) :
            ][:rows, :columns]
            assert np.array_equal(moved, expected)


def test_flips_of_a_gpu_and_a_cpu_have_the_same_pixels():
    """A step of mmcv flips along the axis that the static way flips along."""
    _, operation = make(dict(type='RandomFlip', prob=1.0))
    images = made_images(2, 5, 7, 3)
    static = operation.apply_static(as_batch(images), torch.tensor([[1.0, 0.0]] * 2))
    expected = RandomFlip(prob=1.0)(dict(img=images[0]))['img']
    assert np.array_equal(as_images(static)[0], expected)


def differences(first, second):
    return np.abs(first.astype(float) - second.astype(float))
