"""Faces are prepared as the test pipeline of the config prepares files."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmfer import FERInferencer


@pytest.mark.parametrize('shape', [(36, 36), (37, 40), (33, 50, 3), (30, 35)])
def test_crops_are_those_of_the_pipeline(fer, shape):
    """The crop of a whole batch equals the pipeline, for small images as well."""
    assert fer.preparation.window is not None
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ready = fer.preparation.collate([fer.preparation.fit(image)])['inputs'][0]
    expected = fer.preparation.pipeline(
        dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    )
    assert torch.equal(ready, expected['inputs'])


def without_resize(work_dir):
    """Return the config of a training whose pipelines do not resize."""
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.test_dataloader.dataset.pipeline = [
        step for step in pipeline if step.type != 'Resize'
    ]
    return cfg


@pytest.mark.parametrize('shape', [(36, 36), (37, 40), (33, 50, 3), (30, 35)])
def test_image_size_stands_in_for_a_resize(work_dir, shape):
    """Older work dirs have a config without a resize."""
    fer = FERInferencer(without_resize(work_dir), False, device='cpu')
    assert fer.preparation.image_size == (36, 36) and fer.preparation.window is not None
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ready = fer.preparation.collate([fer.preparation.fit(image)])['inputs'][0]
    if min(shape[:2]) >= 36:
        image = cv2.resize(
            image, fer.preparation.image_size[::-1], interpolation=cv2.INTER_AREA
        )
    else:
        image = cv2.resize(image, fer.preparation.image_size[::-1])
    expected = fer.preparation.pipeline(
        dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
    )
    assert torch.equal(ready, expected['inputs'])


@pytest.mark.parametrize('shorter', [True, False])
def test_frames_may_come_in_the_same_memory(fer, faces, shorter, monkeypatch):
    """Cameras write each frame over the last one."""
    if not shorter:
        monkeypatch.setattr(fer.preparation, 'window', None)
        monkeypatch.setattr(
            fer.preparation.pipeline,
            'transforms',
            fer.preparation.pipeline.transforms[-1:],
        )
    frame = np.empty_like(faces[0])
    ready = []
    for face in faces:
        frame[:] = face
        ready.extend(fer.prepare(frame)[0])
    assert torch.equal(
        fer.preparation.collate(ready)['inputs'],
        fer.preparation.collate([fer.preparation.fit(face) for face in faces])[
            'inputs'
        ],
    )


@pytest.mark.parametrize(
    'size', [0, -4, 48.0, '48', (48,), (48, 48, 3), (48, 0), True, (True, 4)]
)
def test_image_sizes_are_pixels(work_dir, size):
    with pytest.raises(ValueError, match='image_size must be a number of'):
        FERInferencer(work_dir, image_size=size)


def test_size_must_be_known(work_dir):
    cfg = without_resize(work_dir)
    cfg.pop('image_size')
    with pytest.raises(ValueError, match=r'image_size=\(height, width\)'):
        FERInferencer(cfg, pretrained=False)
