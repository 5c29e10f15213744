"""Whole batches of a data set, compared with its samples one by one."""

import numpy as np
import pytest
import torch
from dataset_helpers import AUGMENT, NOISE, PIPELINE
from mmengine.dataset import default_collate, pseudo_collate
from torch.utils.data import DataLoader

from mmfer.datasets import (
    FERDataset,
    ImageList,
    LabelView,
    SyntheticFaces,
    prepare_images,
    unaugmented,
    with_pipeline,
)
from mmfer.datasets.batches import PlannedImages, SampleBatch, fer_collate
from mmfer.registry import MODELS

FLIP = [
    dict(type='LoadFERImage'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackFERInputs'),
]
CROP = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(18, 20)),
    dict(type='RandomCrop', crop_size=16, padding=2),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomErasing', erase_prob=0.5, mode='const'),
    dict(type='GaussianNoise', variance=30),
    dict(type='PackFERInputs'),
]


def batch_of(dataset, indices):
    return fer_collate(dataset.__getitems__(indices))


def pixels(batch):
    inputs = batch['inputs']
    return inputs.apply() if isinstance(inputs, PlannedImages) else inputs


def epoch(dataset, batch_size, workers=0, shuffle=None):
    """Return the pixels of all samples by sample_id, from a loader."""
    order = range(len(dataset)) if shuffle is None else shuffle
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=order,
        num_workers=workers,
        collate_fn=fer_collate,
    )
    found = {}
    for batch in loader:
        ids = batch['data_samples'].sample_id.tolist()
        found.update(zip(ids, pixels(batch), strict=True))
    return torch.stack([found[i] for i in sorted(found)])


@pytest.mark.parametrize('stored', [False, True])
@pytest.mark.parametrize('color_type', ['color', 'grayscale'])
def test_without_random_steps_it_is_what_default_collate_makes(
    image_list, stored, color_type
):
    pipeline = [dict(type='LoadFERImage', color_type=color_type), PIPELINE[-1]]
    dataset = ImageList(pipeline=pipeline, label_noise=NOISE, **image_list())
    if stored:
        dataset.prepare_images()
    indices = [7, 0, 3]
    batch = batch_of(dataset, indices)
    expected = default_collate([dataset[i] for i in indices])
    assert torch.equal(batch['inputs'], expected['inputs'])
    assert isinstance(batch['data_samples'], SampleBatch)
    for ours, theirs in zip(
        batch['data_samples'], expected['data_samples'], strict=True
    ):
        assert ours.metainfo == theirs.metainfo
        assert torch.equal(ours.gt_label, theirs.gt_label)


def test_other_collate_functions_get_the_samples_one_by_one(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    dataset.set_random_state(0, 0)
    samples = dataset.__getitems__([2, 5])
    for collate in (pseudo_collate, default_collate):
        batch = collate(samples)
        for image, index in zip(batch['inputs'], (2, 5), strict=True):
            assert torch.equal(image, dataset[index]['inputs'])


@pytest.mark.parametrize('pipeline', [FLIP, CROP])
def test_augmentation_depends_on_seed_epoch_and_sample_alone(image_list, pipeline):
    dataset = ImageList(pipeline=pipeline, **image_list())
    dataset.set_random_state(3, 1)
    expected = epoch(dataset, 12)
    assert torch.equal(epoch(dataset, 5), expected)
    assert torch.equal(epoch(dataset, 1, workers=2), expected)
    assert torch.equal(epoch(dataset, 4, shuffle=[*range(11, -1, -1)]), expected)
    # The store, a subset and a rank with other samples change nothing.
    dataset.prepare_images()
    assert torch.equal(epoch(dataset, 7, workers=1), expected)
    part = dataset.get_subset([3, 8])
    assert torch.equal(epoch(part, 2), expected[[3, 8]])
    for seed, number in ((3, 2), (4, 1)):
        dataset.set_random_state(seed, number)
        assert not torch.equal(epoch(dataset, 12), expected)


def test_epoch_reaches_running_workers(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    loader = DataLoader(
        dataset,
        batch_size=12,
        num_workers=1,
        persistent_workers=True,
        collate_fn=fer_collate,
    )
    for number in range(3):
        dataset.set_random_state(0, number)
        expected = pixels(batch_of(dataset, list(range(12))))
        assert torch.equal(pixels(next(iter(loader))), expected)


def test_labels_are_the_current_ones(image_list):
    dataset = ImageList(pipeline=PIPELINE, **image_list())
    before = batch_of(dataset, [0, 1])['data_samples'].gt_label.tolist()
    dataset.set_labels([1], [2])
    after = batch_of(dataset, [0, 1])['data_samples'].gt_label.tolist()
    assert before == [0, 1] and after == [0, 2]


def test_arrays_of_annotators_and_of_valence_and_arousal():
    dataset = SyntheticFaces(
        num_samples=9,
        size=16,
        label_noise=dict(
            type='Annotators',
            generators=[
                dict(type='SymmetricNoise', rate=0.3, seed=i) for i in range(2)
            ],
        ),
        pipeline=[
            dict(type='LoadFERImage', color_type='grayscale'),
            dict(type='PackFERInputs', algorithm_keys=('gt_label_sets', 'gt_va')),
        ],
    )
    samples = batch_of(dataset, [4, 2])['data_samples']
    for i, index in enumerate((4, 2)):
        single = dataset[index]['data_samples']
        assert samples.gt_label_sets[i].tolist() == single.gt_label_sets.tolist()
        assert np.array_equal(samples[i].gt_va, single.gt_va)


def test_images_of_different_sizes_run_one_by_one(
    image_list, tmp_path, write_image, said
):
    args = image_list()
    write_image(tmp_path / 'images/005.png', size=17)
    for prepare in (False, True):
        dataset = ImageList(pipeline=FLIP, **args)
        if prepare:
            dataset.prepare_images()
        assert 'different sizes' in dataset.slow_reason
        dataset.set_random_state(0, 0)
        batch = batch_of(dataset, [1, 2])
        expected = default_collate([dataset[i] for i in (1, 2)])
        assert torch.equal(batch['inputs'], expected['inputs'])
    dataset.prepare_images()
    assert sum('run for each image' in text for text in said) == 1
    # The step that is asked for helps, in the place that is asked for.
    assert 'directly after LoadFERImage' in dataset.slow_reason
    late = [*FLIP[:2], dict(type='Resize', scale=(16, 16)), FLIP[2]]
    assert 'directly after' in ImageList(pipeline=late, **args).slow_reason
    resized = [FLIP[0], dict(type='Resize', scale=(16, 16)), *FLIP[1:]]
    assert ImageList(pipeline=resized, **args).slow_reason is None


def test_a_store_that_failed_is_not_tried_again(image_list, monkeypatch):
    """A validation comes after each epoch; each attempt may decode all images."""
    calls = []
    monkeypatch.setattr(
        'mmfer.datasets.batched.open_store', lambda *args: calls.append(args)
    )
    dataset = ImageList(pipeline=FLIP, **image_list())
    for _ in range(3):
        dataset.prepare_images()
    assert len(calls) == 1
    with_pipeline(dataset, FLIP).prepare_images()
    assert len(calls) == 1
    # Another head may give smaller images.
    dataset.pipeline = ImageList(pipeline=CROP, **image_list()).pipeline
    dataset.prepare_images()
    assert len(calls) == 2


def test_a_step_without_batch_form_runs_one_by_one(image_list, said):
    dataset = ImageList(pipeline=AUGMENT, **image_list())
    dataset.prepare_images()
    dataset.prepare_images()
    (text,) = [text for text in said if 'run for each image' in text]
    assert 'ColorJitter' in text
    dataset.set_random_state(0, 0)
    batch = batch_of(dataset, [1, 2])
    expected = default_collate([dataset[i] for i in (1, 2)])
    assert torch.equal(batch['inputs'], expected['inputs'])
    assert isinstance(batch['data_samples'], SampleBatch)


def test_a_subclass_with_its_own_samples_gets_them_one_by_one(image_list):
    class Inverted(ImageList):
        def prepare_data(self, idx):
            packed = super().prepare_data(idx)
            packed['inputs'] = 255 - packed['inputs']
            return packed

    args = dict(image_list(), pipeline=FLIP)
    dataset = Inverted(**args)
    assert 'prepare_data' in dataset.slow_reason
    assert FERDataset.own_method is None and ImageList(**args).slow_reason is None
    dataset.set_random_state(0, 0)
    assert torch.equal(batch_of(dataset, [4])['inputs'][0], dataset[4]['inputs'])


def test_without_an_epoch_draws_follow_the_global_state(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    found = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        found.append(pixels(batch_of(dataset, list(range(12)))))
    assert torch.equal(found[0], found[1])
    assert any(not torch.equal(found[0], other) for other in found[2:])


def test_images_are_read_once(image_list, tmp_path):
    dataset = ImageList(pipeline=FLIP, **image_list())
    dataset.set_random_state(0, 0)
    expected = epoch(dataset, 4)
    prepare_images(dataset)
    for path in (tmp_path / 'images').iterdir():
        path.unlink()
    assert torch.equal(epoch(dataset, 4, workers=1), expected)


def test_store_can_be_switched_off(image_list):
    dataset = ImageList(pipeline=FLIP, image_store=False, **image_list())
    dataset.prepare_images()
    assert not dataset._stores
    assert dataset.slow_reason is None


def test_views_have_their_own_pipeline_and_share_stores(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    dataset.set_random_state(0, 0)
    plain = unaugmented(dataset, ImageList(pipeline=PIPELINE, **image_list()).pipeline)
    dataset.prepare_images()
    (store,) = dataset._stores.values()
    plain.prepare_images()
    assert list(plain._stores.values()) == [store]
    assert isinstance(batch_of(plain, [0])['inputs'], torch.Tensor)
    assert isinstance(batch_of(dataset, [0])['inputs'], PlannedImages)
    erased = with_pipeline(dataset, CROP)
    assert pixels(batch_of(erased, [0, 1])).shape == (2, 3, 16, 16)


def test_label_view(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    dataset.set_random_state(0, 0)
    view = LabelView(dataset, [7, 3], [1, 0], 2)
    batch = batch_of(view, [0, 1])
    assert batch['data_samples'].gt_label.tolist() == [1, 0]
    assert batch['data_samples'].sample_id.tolist() == [7, 3]
    assert torch.equal(pixels(batch), pixels(batch_of(dataset, [7, 3])))


def test_cleaned_and_whole_set_share_a_store(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    count = len(dataset)
    dataset.apply_decisions(
        dict(
            sample_id=np.arange(count),
            decision=np.array(['drop'] * 2 + ['keep'] * (count - 2)),
            suggested_label=np.zeros(count, int),
            noise_score=np.zeros(count),
        )
    )
    dataset.prepare_images()
    (stored,) = dataset._stores.values()
    assert len(stored.store) == count
    dataset.uncleaned.prepare_images()
    assert list(dataset._stores.values()) == [stored]
    batch = batch_of(dataset, [0])
    assert batch['data_samples'].sample_id.tolist() == [2]


def test_slow_twin_has_the_same_distribution(image_list):
    """Shares of changed pixels, over many epochs."""
    dataset = ImageList(pipeline=CROP, **image_list())
    dataset.prepare_images()
    fast, slow = [], []
    for number in range(60):
        dataset.set_random_state(0, number)
        indices = list(range(12))
        fast.append(pixels(batch_of(dataset, indices)).float())
        slow.append(default_collate([dataset[i] for i in indices])['inputs'].float())
    for first, second in zip(fast[:2], slow[:2], strict=True):
        assert not torch.equal(first, second)
    fast, slow = torch.stack(fast), torch.stack(slow)
    # The mean over 60 epochs has this standard error at most.
    error = (slow.std(dim=0) / 60**0.5 * 2**0.5).mean()
    assert (fast.mean(dim=0) - slow.mean(dim=0)).abs().mean() < 1.2 * error
    assert abs(fast.mean() - slow.mean()) < 2
    assert abs(fast.std() - slow.std()) < 2


def test_preprocessors_that_cannot_augment_refuse(image_list):
    dataset = ImageList(pipeline=FLIP, **image_list())
    batch = batch_of(dataset, [0, 1])
    other = MODELS.build(dict(type='ClsDataPreprocessor'))
    with pytest.raises(TypeError, match='FERDataPreprocessor.*default_collate'):
        other(batch, training=True)
    ours = MODELS.build(dict(type='FERDataPreprocessor', input_shape=(3, 16, 16)))
    assert ours(batch, training=True)['inputs'].dtype == torch.float32
