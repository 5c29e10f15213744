"""Made images and operations for the tests of operations on batches."""

import cv2
import numpy as np
import torch
from torch import Tensor

from mmfer.datasets.batches.operations import batch_operation
from mmfer.registry import TRANSFORMS

COLOR = (103.53, 116.28, 123.675)
NOISE = dict(type='GaussianNoise', variance=30)
FLIP = dict(type='RandomFlip', prob=1.0, direction='horizontal')
ROTATE = dict(
    type='Rotate',
    angle=12.0,
    prob=0.7,
    random_negative_prob=0.5,
    pad_val=0,
    interpolation='bilinear',
)
ERASE = dict(
    type='RandomErasing',
    erase_prob=0.5,
    min_area_ratio=0.02,
    max_area_ratio=0.25,
    mode='const',
    fill_color=COLOR,
)
AFFINE = [
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomAffine',
        degrees=10,
        translate=(10 / 64, 10 / 64),
        scale=(0.9, 1.1),
        interpolation='bilinear',
    ),
    dict(type='PILToNumpy'),
]

# Every operation, for images of three channels and 20 x 24 pixels.
SHAPE = 20, 24, 3
OPERATIONS = dict(
    flip=dict(
        type='RandomFlip',
        prob=[0.3, 0.2, 0.3],
        direction=['horizontal', 'vertical', 'diagonal'],
    ),
    crop=dict(type='RandomCrop', crop_size=(20, 24), padding=4),
    crop_lopsided=dict(type='RandomCrop', crop_size=(20, 24), padding=(5, 1, 0, 3)),
    crop_border=dict(
        type='RandomCrop', crop_size=(18, 24), padding=(3, 2), pad_val=(9, 8, 7)
    ),
    crop_smaller=dict(type='RandomCrop', crop_size=11),
    crop_needed=dict(type='RandomCrop', crop_size=(23, 30), pad_if_needed=True),
    center=dict(type='CenterCrop', crop_size=(13, 17)),
    resize=dict(type='Resize', scale=(31, 40)),
    resized_crop=dict(type='RandomResizedCrop', scale=(20, 24)),
    erase=ERASE,
    erase_grey=dict(type='RandomErasing', fill_color=7),
    erase_bytes=dict(type='RandomErasing', mode='rand'),
    erase_normal=dict(
        type='RandomErasing', mode='rand', fill_color=(9, 99, 250), fill_std=(5, 9, 50)
    ),
    noise=NOISE,
    rotate=ROTATE,
    rotate_border=dict(ROTATE, pad_val=(50, 99, 255), angle=40.0),
    affine=dict(type='RandomApply', prob=0.5, transforms=AFFINE),
    affine_fill=dict(
        type='Compose',
        transforms=[
            AFFINE[0],
            dict(AFFINE[1], fill=(3, 200, 9), shear=(-9, 9, -5, 5)),
            AFFINE[2],
        ],
    ),
    flip_or_noise=dict(
        type='RandomApply',
        prob=0.5,
        transforms=[dict(type='RandomChoice', transforms=[[FLIP], [NOISE]])],
    ),
    choice=dict(
        type='RandomChoice', prob=[0.25, 0.75], transforms=[[FLIP, ERASE], [ROTATE]]
    ),
)


def make(cfg):
    """Build a step of a pipeline and its operation."""
    step = TRANSFORMS.build(cfg)
    return step, batch_operation(step)


def made_images(batch, height, width, channels, seed=0, smooth=False):
    """Random uint8 images, shape (B, H, W, C)."""
    rng = np.random.default_rng(seed)
    shape = (height, width, channels)
    if not smooth:
        return rng.integers(0, 256, (batch, *shape), dtype=np.uint8)
    coarse = rng.integers(0, 256, (batch, height // 8 + 2, width // 8 + 2, channels))
    large = [
        cv2.resize(image.astype(np.float32), (width, height), interpolation=2)
        for image in coarse
    ]
    return np.stack(large).reshape(batch, *shape).clip(0, 255).astype(np.uint8)


def as_batch(images: np.ndarray) -> Tensor:
    """(B, H, W, C) to (B, C, H, W) with the strides of channels_last."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def as_images(batch: Tensor) -> np.ndarray:
    return batch.permute(0, 2, 3, 1).numpy()


def plan_for(operation, batch, shape, seed=0) -> Tensor:
    uniforms = np.random.default_rng(seed).random((batch, operation.draws))
    plan = operation.plan(uniforms, shape)
    assert plan.shape == (batch, operation.columns) and plan.dtype == np.float64
    return torch.from_numpy(plan)


def run(operation, images: np.ndarray, plan) -> np.ndarray:
    """Apply a plan to images (B, H, W, C)."""
    plan = torch.as_tensor(np.asarray(plan, float))
    return as_images(operation.apply(as_batch(images), plan))
