"""Labels of a data set: noise, the sidecar, relabelling."""

import copy
import pickle

import numpy as np
import pytest
import torch
from dataset_helpers import AUGMENT, NOISE, PIPELINE, labels_of, loader, same_sample

from mmfer.datasets import ImageList
from mmfer.datasets.labels import LabelStore
from mmfer.datasets.noise import Annotators


def test_noise_is_planted_and_the_truth_kept_aside(image_list):
    plain = ImageList(**image_list(60))
    noisy = ImageList(label_noise=NOISE, **image_list(60))
    assert plain.clean_labels is None and plain.noise_manifest() is None
    np.testing.assert_array_equal(noisy.clean_labels, plain.get_gt_labels())
    wrong = noisy.get_gt_labels() != noisy.clean_labels
    assert wrong.sum() == 30
    assert labels_of(noisy) == noisy.get_gt_labels().tolist()
    manifest = noisy.noise_manifest()
    assert manifest['num_changed'] == 30 and manifest['seed'] == 0

    # A second data set has the same labels, and a subset some of them.
    again = ImageList(label_noise=NOISE, **image_list(60))
    np.testing.assert_array_equal(again.given_labels, noisy.given_labels)
    some = ImageList(label_noise=NOISE, indices=[50, 3], **image_list(60))
    assert labels_of(some) == noisy.given_labels[[50, 3]].tolist()


def test_given_labels_outlive_relabelling(image_list):
    dataset = ImageList(label_noise=NOISE, **image_list())
    before = dataset.given_labels.copy()
    dataset.set_labels(dataset.sample_ids, dataset.clean_labels)
    assert labels_of(dataset) == dataset.clean_labels.tolist()
    np.testing.assert_array_equal(dataset.given_labels, before)
    assert dataset.noise_manifest()['num_changed'] == 6


class WithCleanLabels(ImageList):
    """Data set with the true label beside the given one, as in a noisy list."""

    def load_samples(self):
        samples = super().load_samples()
        for sample in samples:
            sample['clean_label'] = (sample['gt_label'] + 1) % 3
        return samples


def test_clean_labels_of_a_list_go_to_the_sidecar(image_list):
    dataset = WithCleanLabels(**image_list())
    np.testing.assert_array_equal(
        dataset.clean_labels, (dataset.get_gt_labels() + 1) % 3
    )
    with pytest.raises(ValueError, match='noisy list already'):
        WithCleanLabels(label_noise=NOISE, **image_list())


@pytest.mark.parametrize('cls', [ImageList, WithCleanLabels])
def test_no_sample_holds_the_clean_label(image_list, cls):
    noise = None if cls is WithCleanLabels else NOISE
    dataset = cls(label_noise=noise, pipeline=PIPELINE, **image_list())
    allowed = {'img_path', 'sample_id', 'sample_idx', 'gt_label'}
    for i in range(len(dataset)):
        assert set(dataset.get_data_info(i)) == allowed
        packed = dataset[i]
        assert set(packed) == {'inputs', 'data_samples'}
        assert set(packed['data_samples'].keys()) == {'gt_label'}
        assert set(packed['data_samples'].metainfo) == {'sample_id', 'img_path'}


@pytest.mark.parametrize('cls', [ImageList, WithCleanLabels])
def test_poisoned_sidecar_changes_no_sample(image_list, cls):
    noise = None if cls is WithCleanLabels else NOISE
    dataset = cls(label_noise=noise, pipeline=AUGMENT, **image_list())
    dataset.set_random_state(seed=0, epoch=0)
    before = [dataset[i] for i in range(len(dataset))]
    labels = dataset.get_gt_labels()
    dataset._labels.clean[:] = -7
    after = [dataset[i] for i in range(len(dataset))]
    assert all(map(same_sample, before, after))
    np.testing.assert_array_equal(dataset.get_gt_labels(), labels)
    np.testing.assert_array_equal(dataset.given_labels, labels)


def test_noise_on_an_evaluation_split_is_refused(image_list):
    with pytest.raises(ValueError, match='measure the noise, not the model'):
        ImageList(label_noise=NOISE, test_mode=True, **image_list())


@pytest.mark.parametrize(
    'name', ['sample_ids', 'clean_labels', 'given_labels', 'all_labels']
)
def test_lazy_data_set_loads_when_asked(image_list, name):
    args = image_list()
    lazy = ImageList(label_noise=NOISE, lazy_init=True, **args)
    np.testing.assert_array_equal(
        getattr(lazy, name), getattr(ImageList(label_noise=NOISE, **args), name)
    )


def test_set_labels_checks(image_list):
    dataset = ImageList(**image_list())
    with pytest.raises(ValueError, match=r'outside \[0, 3\), e.g. 3'):
        dataset.set_labels([0, 1], [0, 3])
    with pytest.raises(ValueError, match='one label for each'):
        dataset.set_labels([0, 1], [0])
    dataset.set_labels([], [])
    assert labels_of(dataset) == [0, 1, 2] * 4
    dataset.set_labels(np.array([4, 2]), np.array([0, 1]))
    assert dataset.get_gt_labels()[[4, 2]].tolist() == [0, 1]
    assert dataset.get_cat_ids(4) == [0]


@pytest.mark.parametrize('part', [False, True])
def test_running_workers_see_new_labels_and_epochs(image_list, part):
    dataset = ImageList(pipeline=AUGMENT, **image_list(8))
    if part:
        dataset = dataset.get_subset(list(range(1, 8)))
    batches = loader(dataset, workers=1)

    def epoch():
        samples = [
            (x, y)
            for batch in batches
            for x, y in zip(batch['inputs'], batch['data_samples'], strict=True)
        ]
        return {y.sample_id: (x, int(y.gt_label)) for x, y in samples}

    first = epoch()
    workers = [w.pid for w in batches._iterator._workers]
    dataset.set_labels([5], [1])
    dataset.set_random_state(0, 1)
    second = epoch()
    assert [w.pid for w in batches._iterator._workers] == workers
    assert first[5][1] == 2 and second[5][1] == 1
    assert not torch.equal(first[5][0], second[5][0])
    assert dataset.get_gt_labels()[dataset.sample_ids == 5] == 1
    dataset.set_random_state(0, 1)
    here = dataset[dataset.sample_ids.tolist().index(5)]
    assert torch.equal(second[5][0], here['inputs'])


# -- the store alone ---------------------------------------------------------
def test_store_keeps_given_labels_and_changes_current_ones():
    given = np.array([0, 1, 2, 0])
    store = LabelStore(given)
    store.change([1, 3], [2, 2])
    assert store.of([3, 1, 0]).tolist() == [2, 2, 0]
    assert store.given.tolist() == given.tolist() == [0, 1, 2, 0]
    assert store.clean is None and store.sets_of(0) is None
    assert store.current.is_shared()


def test_store_with_annotators_follows_the_label_in_use():
    clean = np.arange(40) % 4
    noise = Annotators(
        [
            dict(type='SymmetricNoise', rate=rate, seed=i)
            for i, rate in enumerate((0.5, 0.2))
        ]
    )
    store = LabelStore.with_noise(clean, noise, 4)
    assert store.sets.shape == (40, 2)
    np.testing.assert_array_equal(store.given, store.sets[:, 0])
    store.change([7], [3])
    assert store.sets_of(7).tolist() == [3, store.sets[7, 1]]
    # The arrays of the store have not changed.
    assert store.sets[7, 0] == store.given[7]
    manifest = store.manifest(noise)
    shares = [entry['changed_share'] for entry in manifest['label_sets']]
    assert shares == [0.5, 0.2] and manifest['changed_share'] == 0.5


@pytest.mark.parametrize('how', ['copy', 'pickle'])
def test_copied_store_has_shared_labels_of_its_own(how):
    store = LabelStore(np.array([0, 1, 2]), np.array([2, 1, 2]))
    store.change([0], [1])
    twin = copy.deepcopy(store) if how == 'copy' else pickle.loads(pickle.dumps(store))
    assert twin.current.is_shared() and twin.of([0, 1, 2]).tolist() == [1, 1, 2]
    twin.change([2], [0])
    assert store.of([2]).tolist() == [2]
    assert twin.given.tolist() == [0, 1, 2] and twin.clean.tolist() == [2, 1, 2]
    assert (twin.clean is store.clean) == (how == 'copy')
