"""Images that the device of the model keeps: who gets rows, and who gets images."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmfer.datasets import ImageList, LabelView, unaugmented, with_pipeline
from mmfer.datasets.batches import PlannedImages, SampleBatch, fer_collate
from mmfer.datasets.images import ImageStore
from mmfer.engine import ImageStoreHook
from mmfer.engine.scoring import augmented_view
from mmfer.models import data_preprocessor
from mmfer.models.data_preprocessor import copy_to_device
from mmfer.registry import MODELS

FLIP = [
    dict(type='LoadFERImage'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackFERInputs'),
]
PLAIN = [FLIP[0], FLIP[-1]]


class OnCPU(data_preprocessor.FERDataPreprocessor):
    """Data preprocessor that keeps images on a CPU, too."""

    def keep_images(self, key, images):
        self._resident[key] = copy_to_device(images, torch.device('cpu'))
        return True


def batch_of(dataset, indices):
    return fer_collate(dataset.__getitems__(indices))


def runner_of(dataset, preprocessor):
    """Return what ImageStoreHook and views read from a runner."""
    model = torch.nn.Module()
    if preprocessor is not None:
        model.data_preprocessor = preprocessor
    loader = SimpleNamespace(dataset=dataset, collate_fn=fer_collate)
    return SimpleNamespace(
        model=model, train_dataloader=loader, val_loop=None, seed=0, epoch=0
    )


def has_rows(dataset):
    inputs = batch_of(dataset, [0, 1])['inputs']
    return isinstance(inputs, PlannedImages) and inputs.images.dtype == torch.int64


@pytest.fixture
def dataset(image_list):
    return ImageList(pipeline=FLIP, **image_list())


def test_images_are_those_of_a_set_without_a_device(dataset, image_list):
    plain, preprocessor = ImageList(pipeline=FLIP, **image_list()), OnCPU()
    dataset.keep_on_device(preprocessor.keep_images)
    assert not preprocessor._resident, 'there is no store yet'
    dataset.prepare_images()
    dataset.keep_on_device(preprocessor.keep_images)
    dataset.keep_on_device(preprocessor.keep_images)
    assert len(preprocessor._resident) == 1
    for one in (plain, dataset):
        one.set_random_state(0, 3)
    assert has_rows(dataset)
    assert torch.equal(
        preprocessor(batch_of(dataset, [4, 0, 7]))['inputs'],
        preprocessor(batch_of(plain, [4, 0, 7]))['inputs'],
    )
    with pytest.raises(RuntimeError, match='on_device=False'):
        OnCPU()(batch_of(dataset, [4, 0, 7]))
    # Workers that are spawned get the keys, too.
    assert has_rows(pickle.loads(pickle.dumps(dataset)))


def test_images_that_the_device_has_no_room_for(dataset):
    dataset.prepare_images()
    dataset.keep_on_device(lambda key, images: False)
    assert not has_rows(dataset)


def test_a_cpu_keeps_no_second_copy(dataset):
    dataset.prepare_images()
    preprocessor = MODELS.build(dict(type='FERDataPreprocessor'))
    dataset.keep_on_device(preprocessor.keep_images)
    assert not preprocessor._resident and not has_rows(dataset)


def test_views_and_copies_can_be_read_with_any_model(dataset):
    """Without images, they would need the model that trains on the data set."""
    ImageStoreHook(on_device=True).before_train(runner_of(dataset, OnCPU()))
    assert has_rows(dataset)
    plain = unaugmented(dataset, with_pipeline(dataset, PLAIN).pipeline)
    for other in (
        plain,
        LabelView(plain, [3, 1], [0, 1], 2),
        with_pipeline(dataset, FLIP),
        augmented_view(runner_of(dataset, None)),
        dataset.get_subset([9, 2, 5]),
        copy.deepcopy(dataset),
    ):
        assert not has_rows(other)
        another = MODELS.build(dict(type='FERDataPreprocessor'))
        assert another(batch_of(other, [0, 1]))['inputs'].shape == (2, 3, 16, 16)
    assert has_rows(dataset)


def test_a_second_run_reads_no_rows_of_the_first(dataset):
    first, second = OnCPU(), OnCPU()
    hook = ImageStoreHook(on_device=True)
    hook.before_train(runner_of(dataset, first))
    # The first run failed, and the second one has another device.
    hook.before_train(runner_of(dataset, second))
    assert second(batch_of(dataset, [0, 1]))['inputs'].shape == (2, 3, 16, 16)
    for other in (MODELS.build(dict(type='FERDataPreprocessor')), None):
        hook.before_train(runner_of(dataset, second))
        ImageStoreHook().before_train(runner_of(dataset, other))
        assert not has_rows(dataset)


def test_memory_is_free_after_the_run(dataset):
    preprocessor, hook = OnCPU(), ImageStoreHook(on_device=True)
    hook.before_train(runner_of(dataset, preprocessor))
    assert preprocessor._resident
    hook.after_train(runner_of(dataset, preprocessor))
    assert not preprocessor._resident and not has_rows(dataset)


@pytest.mark.parametrize('size', [1, 3 * 4 * 5 * 2, 1 << 20])
def test_copy_in_parts(monkeypatch, size):
    monkeypatch.setattr(data_preprocessor, 'COPY_BYTES', size)
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
    copied = copy_to_device(ImageStore.from_array(images), torch.device('cpu'))
    assert np.array_equal(copied.numpy(), images)


@pytest.mark.parametrize('kind', ['here', 'on_device'])
def test_second_view(dataset, kind):
    """Other draws for the same images, which depend on seed, epoch and sample."""
    preprocessor = OnCPU()
    dataset.set_random_state(3, 1)
    if kind == 'on_device':
        dataset.prepare_images()
        dataset.keep_on_device(preprocessor.keep_images)
        assert has_rows(dataset)
    indices = list(range(len(dataset)))
    batch = batch_of(dataset, indices)
    assert 'second_view' not in preprocessor(batch, training=True)['data_samples']
    preprocessor.second_view = True
    assert 'second_view' not in preprocessor(batch)['data_samples']
    found = preprocessor(batch, training=True)
    first, second = found['inputs'], found['data_samples'].second_view
    equal = (first == second).flatten(1).all(1)
    assert (equal | (first.flip(3) == second).flatten(1).all(1)).all()
    assert equal.any() and not equal.all()
    # A batch of other samples has the same views.
    part = pickle.loads(pickle.dumps(batch_of(dataset, indices[2:4])))
    again = preprocessor(part, training=True)['data_samples'].second_view
    assert torch.equal(again, second[2:4])
    dataset.set_random_state(3, 2)
    later = preprocessor(batch_of(dataset, indices), training=True)
    assert not torch.equal(later['data_samples'].second_view, second)


def test_second_views_of_the_loader():
    """Of any collate function: normalised in training, dropped in a test."""
    preprocessor = MODELS.build(
        dict(type='FERDataPreprocessor', mean=[10.0], std=[2.0], input_shape=(1, 2, 2))
    )

    def samples_of(*sides):
        found = []
        for side in sides:
            sample = DataSample(metainfo=dict(sample_id=0)).set_gt_label(1)
            view = torch.full((1, side, side), 14, dtype=torch.uint8)
            found.append(sample.set_field(view, 'second_view') or sample)
        return found

    images = torch.zeros(2, 1, 2, 2, dtype=torch.uint8)
    for inputs in (images, list(images)):
        for collected in (samples_of(2, 2), SampleBatch.from_samples(samples_of(2, 2))):
            if isinstance(inputs, list) and isinstance(collected, SampleBatch):
                continue
            batch = dict(inputs=inputs, data_samples=collected)
            found = preprocessor(batch, training=True)
            assert found['data_samples'].second_view.eq(2).all()
            assert found['inputs'].eq(-5).all()
            found = preprocessor(dict(inputs=images, data_samples=collected))
            assert not any('second_view' in s for s in found['data_samples'])
            assert len(found['data_samples']) == 2
    with pytest.raises(ValueError, match='second views .* shapes .*End the transforms'):
        batch = dict(inputs=images, data_samples=samples_of(2, 3))
        preprocessor(batch, training=True)
