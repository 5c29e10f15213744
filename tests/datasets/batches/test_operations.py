"""What every operation on a batch keeps: samples apart, devices apart, inputs."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmpretrain.datasets import RandomCrop
from operation_helpers import (
    AFFINE,
    ERASE,
    FLIP,
    NOISE,
    OPERATIONS,
    ROTATE,
    SHAPE,
    as_batch,
    as_images,
    made_images,
    make,
    plan_for,
    run,
)
from pretended_cuda import CUDA, can_pretend, pretended_cuda

from mmfer.datasets.batches.operations import (
    UnsupportedShape,
    batch_operation,
    batch_operations,
)
from mmfer.datasets.batches.operations import base as operations_base
from mmfer.registry import TRANSFORMS

each_operation = pytest.mark.parametrize('name', OPERATIONS)


@each_operation
def test_a_sample_gets_the_same_pixels_in_any_batch(name, monkeypatch):
    _, operation = make(OPERATIONS[name])
    images = made_images(13, *SHAPE)
    plan = plan_for(operation, 13, SHAPE).numpy()
    expected = run(operation, images, plan)
    height, width, channels = operation.output_shape(SHAPE)
    assert expected.shape == (13, height, width, channels)
    assert expected.dtype == np.uint8
    order = np.random.default_rng(1).permutation(13)
    assert np.array_equal(run(operation, images[order], plan[order]), expected[order])
    for i in range(13):
        one = run(operation, images[i : i + 1], plan[i : i + 1])
        assert np.array_equal(one[0], expected[i])
    monkeypatch.setattr(operations_base, 'CHUNK_VALUES', 5000)
    assert np.array_equal(run(operation, images, plan), expected)
    # A GPU takes this way.
    static = operation.apply_static(as_batch(images), torch.from_numpy(plan))
    assert np.array_equal(as_images(static), expected)


@each_operation
def test_memory_format_does_not_matter_and_inputs_stay(name):
    _, operation = make(OPERATIONS[name])
    images = as_batch(made_images(6, *SHAPE))
    plan = plan_for(operation, 6, SHAPE)
    before = images.clone(), plan.clone()
    expected = operation.apply(images, plan)
    wide = torch.zeros(12, 6, SHAPE[0] + 2, SHAPE[1], dtype=torch.uint8)
    part = wide[::2, 1:4, 1:-1]
    part.copy_(images)
    for other in (images.contiguous(), part, images.flip(0).flip(0)):
        assert torch.equal(operation.apply(other, plan), expected)
        assert torch.equal(operation.apply_static(other, plan), expected)
    assert torch.equal(images, before[0]) and torch.equal(plan, before[1])
    assert torch.equal(part, images)


@each_operation
def test_plans_of_samples_do_not_depend_on_one_another(name):
    _, operation = make(OPERATIONS[name])
    uniforms = np.random.default_rng(0).random((50, operation.draws))
    plan = operation.plan(uniforms, SHAPE)
    assert np.array_equal(operation.plan(uniforms[10:20], SHAPE), plan[10:20])
    assert operation.plan(uniforms[:0], SHAPE).shape == (0, operation.columns)
    largest = np.full((1, operation.draws), 1 - 2.0**-32)
    for edge in (np.zeros((1, operation.draws)), largest):
        run(operation, made_images(1, *SHAPE), operation.plan(edge, SHAPE))


@each_operation
def test_pickled_operation_does_the_same(name):
    _, operation = make(OPERATIONS[name])
    copy = pickle.loads(pickle.dumps(operation))
    assert repr(copy) == repr(operation)
    assert (copy.draws, copy.columns) == (operation.draws, operation.columns)
    images = made_images(4, *SHAPE)
    plan = plan_for(operation, 4, SHAPE)
    assert torch.equal(plan_for(copy, 4, SHAPE), plan)
    assert np.array_equal(run(copy, images, plan), run(operation, images, plan))


@each_operation
def test_neutral_parameters_leave_pixels_alone(name):
    _, operation = make(OPERATIONS[name])
    neutral = operation.neutral(SHAPE)
    if neutral is None:
        assert operation.output_shape(SHAPE) != SHAPE
        return
    images = made_images(3, *SHAPE)
    plan = torch.from_numpy(np.tile(neutral, (3, 1)))
    static = operation.apply_static(as_batch(images), plan)
    assert np.array_equal(as_images(static), images)
    large = as_batch(made_images(1, 224, 224, 3))
    if operation.output_shape((224, 224, 3)) == (224, 224, 3):
        plan = torch.from_numpy(operation.neutral((224, 224, 3)))[None]
        assert torch.equal(operation.apply_static(large, plan), large)


@pytest.fixture(scope='module')
def pretends():
    if not can_pretend():
        pytest.skip('this torch cannot pretend a CUDA device')


@pytest.mark.usefixtures('pretends')
@each_operation
def test_nothing_is_read_on_the_host_and_devices_stay_apart(name):
    _, operation = make(OPERATIONS[name])
    with pretended_cuda():
        images = torch.zeros(5, 3, *SHAPE[:2], dtype=torch.uint8, device=CUDA)
        plan = torch.zeros(5, operation.columns, dtype=torch.float64, device=CUDA)
        for batch in (images, images.to(memory_format=torch.channels_last)):
            result = operation.apply(batch, plan)
            height, width, channels = operation.output_shape(SHAPE)
            assert result.shape == (5, channels, height, width)
            assert result.device == CUDA and result.dtype == torch.uint8


@each_operation
@pytest.mark.parametrize('shape', [(1, 1), (1, 24), (20, 1), (2, 3)])
def test_images_of_one_pixel_row(name, shape):
    """A size is clipped or padded as in the step itself."""
    step, operation = make(OPERATIONS[name])
    images = made_images(4, *shape, 3)
    try:
        expected = operation.output_shape((*shape, 3))
    except UnsupportedShape:
        assert type(step).__name__ in ('RandomApply', 'RandomChoice')
        return
    plan = plan_for(operation, 4, (*shape, 3))
    assert run(operation, images, plan).shape == (4, *expected)
    static = operation.apply_static(as_batch(images), plan)
    assert np.array_equal(as_images(static), run(operation, images, plan))
    by_image = step(dict(img=images[0].copy()))['img']
    assert by_image.shape == expected


@pytest.mark.parametrize('name', ['flip_or_noise', 'affine', 'choice'])
def test_gated_samples_change_and_no_others(name):
    step, operation = make(OPERATIONS[name])
    images = made_images(200, *SHAPE, smooth=True)
    uniforms = np.random.default_rng(3).random((200, operation.draws))
    result = run(operation, images, operation.plan(uniforms, SHAPE))
    changed = (result != images).any((1, 2, 3))
    if name == 'choice':
        # A branch is what the branch alone does.
        first = uniforms[:, 0] < 0.25
        flip, rotate = (batch_operation(branch) for branch in step.transforms)
        parts = uniforms[:, 1 : 1 + flip.draws], uniforms[:, 1 + flip.draws :]
        for branch, part, chosen in zip((flip, rotate), parts, (first, ~first)):
            alone = run(branch, images, branch.plan(part, SHAPE))
            assert np.array_equal(result[chosen], alone[chosen])
    else:
        assert np.array_equal(changed, uniforms[:, 0] < 0.5)


def test_choice_of_flip_or_noise_is_one_of_both():
    _, operation = make(OPERATIONS['flip_or_noise'])
    images = made_images(400, *SHAPE)
    uniforms = np.random.default_rng(3).random((400, operation.draws))
    result = run(operation, images, operation.plan(uniforms, SHAPE))
    flipped = (result == images[:, :, ::-1]).all((1, 2, 3))
    same = (result == images).all((1, 2, 3))
    taken = uniforms[:, 0] < 0.5
    assert np.array_equal(same, ~taken)
    assert np.array_equal(flipped, taken & (uniforms[:, 1] < 0.5))


def test_steps_that_change_the_size_cannot_be_gated():
    crop = dict(type='RandomCrop', crop_size=20, padding=2)
    _, operation = make(dict(type='RandomApply', transforms=[crop]))
    assert operation.output_shape((20, 20, 3)) == (20, 20, 3)
    with pytest.raises(UnsupportedShape, match=r'\(24, 20, 3\).*\(20, 20, 3\)'):
        operation.output_shape((24, 20, 3))
    _, operation = make(dict(type='RandomChoice', transforms=[[crop], [FLIP]]))
    with pytest.raises(UnsupportedShape, match='CropOperation'):
        operation.output_shape((24, 20, 3))


@pytest.mark.parametrize(
    'cfg, shape, message',
    [
        (ERASE, (20, 20, 1), '3 channels, got 1'),
        (dict(ROTATE, pad_val=(1, 2)), (20, 20, 3), 'pad_val'),
        (dict(OPERATIONS['crop_border']), (20, 20, 1), 'pad_val'),
        (dict(type='CenterCrop', crop_size=30, auto_pad=True), (20, 40, 3), '30 x 30'),
        (OPERATIONS['affine_fill'], (20, 20, 1), 'fill'),
    ],
)
def test_images_without_a_batch_form(cfg, shape, message):
    _, operation = make(cfg)
    with pytest.raises(UnsupportedShape, match=message):
        operation.output_shape(shape)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='Resize', scale=(20, 20), interpolation='area'),
        dict(type='Resize', scale=(20, 20), keep_ratio=True),
        dict(type='Resize', scale=(20, 20), backend='pillow'),
        dict(type='Resize', scale_factor=2.0),
        dict(type='RandomResizedCrop', scale=20, interpolation='bicubic'),
        dict(
            type='RandomCrop', crop_size=20, pad_if_needed=True, padding_mode='reflect'
        ),
        dict(type='RandomCrop', crop_size=20, padding=[1, 2]),
        dict(ROTATE, interpolation='nearest'),
        dict(
            type='Rotate',
            magnitude_range=(0, 30),
            magnitude_std=0.5,
            interpolation='bilinear',
        ),
        dict(type='RandomErasing', fill_color=300),
        dict(type='ColorJitter', brightness=0.4),
        dict(type='EfficientNetRandomCrop', scale=20),
        dict(type='RandomApply', transforms=[dict(type='ColorJitter')]),
        dict(type='RandomChoice', transforms=[[FLIP], [dict(type='ColorJitter')]]),
        AFFINE[1],
        dict(type='Compose', transforms=AFFINE[1:]),
        dict(type='Compose', transforms=[dict(AFFINE[0], to_rgb=True), *AFFINE[1:]]),
        dict(type='Compose', transforms=[AFFINE[0], FLIP, AFFINE[2]]),
    ],
)
def test_options_without_a_batch_form(cfg):
    assert make(cfg)[1] is None


def test_a_subclass_of_a_known_step_has_no_batch_form():
    class Cornered(RandomCrop):
        def rand_crop_params(self, img):
            return 0, 0, *self.crop_size

    assert batch_operation(RandomCrop(3)) is not None
    assert batch_operation(Cornered(3)) is None


def test_the_end_of_a_pipeline():
    area = dict(type='Resize', scale=(64, 64), interpolation='area')
    steps = [TRANSFORMS.build(x) for x in (area, *AFFINE, FLIP, NOISE)]
    start, operations = batch_operations(steps)
    assert start == 1
    assert [type(x).__name__ for x in operations] == [
        'AffineOperation',
        'FlipOperation',
        'NoiseOperation',
    ]
    assert batch_operations(steps[:1]) == (1, []) and batch_operations([]) == (0, [])
    # The end does not begin inside of the steps on images of Pillow.
    start, operations = batch_operations(steps[2:])
    assert start == 2 and len(operations) == 2


def test_every_random_step_of_a_config_has_a_batch_form():
    seen = set()
    for path in sorted(Path(CONFIGS).rglob('*.py')):
        for pipeline in train_pipelines(Config.fromfile(path)):
            steps = [TRANSFORMS.build(cfg) for cfg in pipeline[1:-1]]
            start, operations = batch_operations(steps)
            kept = [cfg['type'] for cfg in pipeline[1 : 1 + start]]
            # Resizing by area belongs to what is stored. A face of several in a
            # photo is cropped for each sample: images are stored by file. A second view
            # has operations of other libraries.
            known = {'Resize', 'CenterCrop', 'CropFace', 'SecondView'}
            assert set(kept) <= known, (path, kept)
            seen.update(type(operation).__name__ for operation in operations)
    assert {'ApplyOperation', 'RotateOperation', 'AffineOperation'} <= seen


def train_pipelines(config):
    """Return the pipelines with random steps, anywhere in a config."""
    found, values = [], [config._cfg_dict.to_dict()]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, (list, tuple)):
            if value and all(isinstance(x, dict) and 'type' in x for x in value):
                if str(value[0]['type']).startswith('Load'):
                    found.append(value)
                    continue
            values += value
    return found
