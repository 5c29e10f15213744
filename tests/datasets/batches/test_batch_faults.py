"""Data that is unusual: whole batches still equal the samples one by one."""

import copy

import cv2
import numpy as np
import pytest
import torch
from dataset_helpers import PIPELINE, truncate
from mmcv.transforms import BaseTransform, RandomApply
from mmengine.dataset import ConcatDataset

from mmfer.datasets import ImageList, SyntheticFaces, with_pipeline
from mmfer.datasets import batched as batched_module
from mmfer.datasets.batches import PlannedImages, fer_collate
from mmfer.datasets.images import UnreadableImageError
from mmfer.datasets.stored_images import Stores
from mmfer.registry import TRANSFORMS

FLIP = [PIPELINE[0], dict(type='RandomFlip', prob=0.5), PIPELINE[-1]]


def batch_of(dataset, indices):
    return fer_collate(dataset.__getitems__(indices))


class Annotated(ImageList):
    """List whose samples have further values of several types."""

    def load_samples(self):
        samples = super().load_samples()
        for i, sample in enumerate(samples):
            sample.update(
                subject=f'person {i}',
                age=20 + i,
                known=i % 2 == 0,
                boxes=np.zeros((i, 4)),
                gt_score=np.array([i, 1, 2], np.float32) / (i + 3),
            )
        return samples


def test_fields_are_those_of_single_samples(image_list):
    keys = ('subject', 'age', 'known', 'boxes', 'absent')
    pipeline = [*FLIP[:2], dict(type='PackFERInputs', algorithm_keys=keys)]
    dataset = Annotated(pipeline=pipeline, **image_list())
    batch = batch_of(dataset, [2, 5])
    assert isinstance(batch['inputs'], PlannedImages)
    for ours, index in zip(batch['data_samples'], (2, 5), strict=True):
        theirs = dataset[index]['data_samples']
        assert set(ours.all_keys()) == set(theirs.all_keys())
        for name, value in theirs.all_items():
            assert np.array_equal(ours.get(name), value), name
    assert torch.equal(batch['data_samples'].age, torch.tensor([22, 25]))


def test_soft_labels_reach_the_model(image_list):
    """Every pipeline packs them; without them, training uses the hard labels."""
    dataset = Annotated(pipeline=FLIP, **image_list())
    scores = batch_of(dataset, [2, 5])['data_samples'].gt_score
    expected = [dataset[i]['data_samples'].gt_score for i in (2, 5)]
    assert torch.equal(scores, torch.stack(expected))


def test_parts_of_a_concatenation_may_have_other_fields(image_list):
    pipeline = [PIPELINE[0], dict(type='PackFERInputs', algorithm_keys=['age'])]
    with_age = Annotated(pipeline=pipeline, **image_list())
    other = ImageList(pipeline=pipeline, **image_list())
    for parts in ([with_age, other], [other, with_age]):
        joined = ConcatDataset(parts)
        samples = fer_collate([joined[0], joined[12]])['data_samples']
        assert sorted('age' in sample for sample in samples) == [False, True]


def test_repeated_samples_of_a_subset_have_their_own_images(image_list):
    dataset = ImageList(pipeline=PIPELINE, **image_list(4))
    for indices in ([0, 0, 1, 3], [3, 1, 3, 3]):
        part = ImageList(pipeline=PIPELINE, **image_list(4)).get_subset(indices)
        part.prepare_images()
        for position, index in enumerate(indices):
            for image in (part[position], batch_of(part, [position])):
                pixels = image['inputs'].reshape(3, 16, 16)
                assert torch.equal(pixels, dataset[index]['inputs'])


def test_images_of_one_size_with_other_channels(image_list, tmp_path):

    options = image_list()
    cv2.imwrite(str(tmp_path / 'images/001.png'), np.zeros((16, 16), np.uint8))
    pipeline = [
        dict(type='LoadImageFromFile', color_type='unchanged'),
        dict(type='Resize', scale=(16, 16)),
        PIPELINE[-1],
    ]
    dataset = ImageList(pipeline=pipeline, **options)
    dataset.prepare_images()
    assert batch_of(dataset, [0, 2])['inputs'].shape == (2, 3, 16, 16)
    with pytest.raises(RuntimeError, match='same size|equal size'):
        batch_of(dataset, [0, 1])


@pytest.mark.parametrize('image_store', [False, True])
def test_a_damaged_first_image_is_named(image_list, tmp_path, image_store):
    dataset = ImageList(pipeline=FLIP, image_store=image_store, **image_list())
    truncate(tmp_path / 'images/000.png')
    with pytest.raises(UnreadableImageError, match='000.png.*on_bad_image=skip'):
        dataset.prepare_images()
    with pytest.raises(UnreadableImageError, match='000.png.*on_bad_image=skip'):
        batch_of(dataset, [3, 4])


@pytest.mark.parametrize('option', ['to_float32', 'ignore_empty'])
def test_loaders_that_no_store_can_hold(image_list, option):
    loader = {'type': 'LoadImageFromFile', option: True}
    dataset = ImageList(pipeline=[loader, *FLIP[1:]], **image_list())
    dataset.prepare_images()
    assert option in dataset.slow_reason
    assert batch_of(dataset, [0, 1])['inputs'].shape == (2, 3, 16, 16)


def test_a_store_that_cannot_be_built_is_tried_once(image_list, monkeypatch):
    calls = []
    monkeypatch.setattr(batched_module, 'open_store', lambda *args: calls.append(1))
    dataset = ImageList(pipeline=FLIP, **image_list())
    for _ in range(3):
        dataset.prepare_images()
        dataset.get_subset([1, 2]).prepare_images()
    assert len(calls) == 1


def test_copies_share_the_pixels_of_a_set_in_memory():
    dataset = SyntheticFaces(num_samples=9, size=16, pipeline=FLIP)
    dataset.prepare_images()
    assert dataset.slow_reason is None
    stored = next(iter(dataset._stores.values()))
    for other in (copy.deepcopy(dataset), dataset.get_subset([1, 2])):
        assert next(iter(other._stores.values())) is stored
        assert other._reason[0][1] is stored


class Inverted:
    """Mixin that changes samples."""

    def prepare_data(self, idx):
        packed = super().prepare_data(idx)
        return dict(packed, inputs=255 - packed['inputs'])


class InvertedList(Inverted, ImageList):
    """The method is not in the class itself."""


def test_methods_of_mixins_are_used(image_list):
    dataset = InvertedList(pipeline=PIPELINE, **image_list())
    assert 'prepare_data' in dataset.slow_reason
    assert ImageList(pipeline=PIPELINE, **image_list()).slow_reason is None
    assert torch.equal(batch_of(dataset, [1])['inputs'][0], dataset[1]['inputs'])


class InWorker:
    """The data set of a worker, which was forked or spawned before."""

    def __init__(self, dataset):
        self.dataset = copy.copy(dataset)
        # What the process has itself; _announced is in shared memory.
        stores = Stores()
        stores._announced = dataset._stores._announced
        self.dataset._stores, self.dataset._without_store = stores, set()


def test_workers_that_started_before_the_store_open_it(image_list, monkeypatch):
    """Loops of mmengine that count iterations start their workers first."""
    dataset = ImageList(pipeline=FLIP, **image_list())
    early = InWorker(dataset).dataset
    batch_of(early, [0, 1])
    assert not early._stores
    # Another pipeline of the data set has nothing to do with it.
    plain = with_pipeline(dataset, [PIPELINE[0], dict(type='Resize', scale=8), FLIP[2]])
    plain.prepare_images()
    batch_of(early, [0, 1])
    assert not early._stores
    dataset.prepare_images()
    for one in (dataset, early):
        one.set_random_state(0, 0)
    monkeypatch.setattr(batched_module, 'run_steps', None)
    first, second = batch_of(early, [2, 5])['inputs'], batch_of(dataset, [2, 5])
    assert len(early._stores) == 1
    assert torch.equal(first.apply(), second['inputs'].apply())


def test_workers_build_no_store(image_list, monkeypatch, said):
    dataset = ImageList(pipeline=FLIP, **image_list())
    early = InWorker(dataset).dataset
    dataset._stores.add(dataset.parts.recipe, None)
    for _ in range(2):
        assert batch_of(early, [0, 1])['inputs'].images.shape == (2, 3, 16, 16)
    assert not early._stores
    assert sum('removed' in text for text in said) == 1


class ReadsNotes(BaseTransform):
    """A step of a user that reads what other steps note."""

    def transform(self, results):
        results['notes'] = np.array([*results['ori_shape'], *results['scale_factor']])
        return results


@pytest.mark.parametrize('nested', [False, True])
def test_a_step_of_the_user_finds_the_notes_of_all_steps(image_list, nested):
    step = ReadsNotes()
    if nested:
        step = RandomApply([step], prob=1.0)
    steps = [
        TRANSFORMS.build(dict(type='LoadFERImage')),
        TRANSFORMS.build(dict(type='Resize', scale=(8, 8))),
        step,
        TRANSFORMS.build(dict(type='PackFERInputs', algorithm_keys=('notes',))),
    ]
    dataset = ImageList(pipeline=steps, **image_list())
    expected = dataset[3]
    dataset.prepare_images()
    assert len(dataset._stores) == 1
    found = dataset[3]
    assert torch.equal(found['inputs'], expected['inputs'])
    assert found['data_samples'].notes.tolist() == [16, 16, 0.5, 0.5]
    assert len(fer_collate(dataset.__getitems__([1, 2]))['inputs']) == 2
