"""Numbered samples, subsets and copies, through data sets of own images."""

import copy
import pickle

import numpy as np
import pytest
from dataset_helpers import NOISE, PIPELINE, ids_of, labels_of, same_sample

from mmfer.datasets import ImageList
from mmfer.datasets.sample_table import SampleTable


@pytest.mark.parametrize('serialize', [True, False])
def test_sample_id_is_the_row_in_the_full_list(image_list, serialize):
    full = ImageList(serialize_data=serialize, **image_list())
    assert ids_of(full) == list(range(12))
    assert full.sample_ids.tolist() == list(range(12))
    assert full.sample_ids.dtype == np.int64

    chosen = ImageList(serialize_data=serialize, indices=[7, 2, 9], **image_list())
    assert ids_of(chosen) == chosen.sample_ids.tolist() == [7, 2, 9]

    part = full.get_subset([10, 3, 4])
    assert ids_of(part) == part.sample_ids.tolist() == [10, 3, 4]
    again = part.get_subset([2, 0])
    assert ids_of(again) == again.sample_ids.tolist() == [4, 10]
    # The sets that the subsets were taken from have not changed.
    assert part.sample_ids.tolist() == [10, 3, 4]
    assert full.sample_ids.tolist() == list(range(12))

    full.get_subset_([5, 1])
    assert ids_of(full) == full.sample_ids.tolist() == [5, 1]
    full.get_subset_(-1)
    assert ids_of(full) == full.sample_ids.tolist() == [1]
    assert full.get_subset([]).sample_ids.tolist() == []
    assert full.get_subset([]).get_gt_labels().tolist() == []


def test_sample_ids_are_gathered_once_and_safe(image_list, monkeypatch):
    dataset = ImageList(**image_list())
    first = dataset.sample_ids
    monkeypatch.setattr(SampleTable, 'take', None)
    assert dataset.sample_ids is first
    with pytest.raises(ValueError, match='read-only'):
        first[0] = 3


def test_subset_has_the_labels_of_its_samples(image_list):
    full = ImageList(label_noise=NOISE, **image_list())
    part = full.get_subset([11, 0, 5])
    assert part.get_gt_labels().tolist() == [
        full.get_gt_labels()[i] for i in (11, 0, 5)
    ]
    assert labels_of(part) == part.get_gt_labels().tolist()
    np.testing.assert_array_equal(part.clean_labels, full.clean_labels)
    np.testing.assert_array_equal(part.given_labels, full.given_labels)


def test_relabelling_reaches_subsets_and_back(image_list):
    full = ImageList(**image_list())
    first = full.get_subset([1, 2])
    full.set_labels([2], [0])
    second = full.get_subset([2, 3])
    assert labels_of(first) == [1, 0]
    assert labels_of(second) == [0, 0]
    second.set_labels([3], [2])
    assert full.get_data_info(3)['gt_label'] == 2


def test_subsets_share_images_not_settings(image_list):
    full = ImageList(pipeline=PIPELINE, **image_list())
    full.prepare_images()
    part = full.get_subset([1, 2])
    assert part._stores is full._stores
    part.test_mode = True
    other = full.get_subset([3])
    pipelines = [full.pipeline, part.pipeline, other.pipeline]
    assert len({id(pipeline) for pipeline in pipelines}) == 3
    assert not full.test_mode
    assert same_sample(part[1], full[2])


def test_deep_copy_has_labels_of_its_own_in_shared_memory(image_list):
    dataset = ImageList(**image_list())
    twin = copy.deepcopy(dataset)
    twin.set_labels([0], [2])
    assert dataset.get_gt_labels()[0] == 0
    assert twin.all_labels.is_shared()
    assert twin._random_state.is_shared()


def test_pickled_data_set_keeps_what_it_needs(image_list):
    dataset = ImageList(label_noise=NOISE, pipeline=PIPELINE, **image_list())
    dataset.prepare_images()
    twin = pickle.loads(pickle.dumps(dataset))
    assert all(same_sample(dataset[i], twin[i]) for i in range(12))
    assert twin.sample_ids.tolist() == list(range(12))


@pytest.mark.parametrize('serialize', [True, False])
def test_paths_and_names_of_a_subset(image_list, serialize):
    full = ImageList(serialize_data=serialize, **image_list())
    part = full.get_subset([7, 2, 9])
    paths = [part.get_data_info(i)['img_path'] for i in range(3)]
    assert part.image_paths.tolist() == paths
    assert part.image_paths is part.image_paths
    names = list(map(part.image_name, paths))
    assert part.image_names() == names
    assert part.image_names([9, 7]) == [names[2], names[0]]
    # Samples that are not in the set have no name.
    assert part.names_by_id() == [
        '' if i not in (7, 2, 9) else names[(7, 2, 9).index(i)] for i in range(10)
    ]
    part.get_subset_([1])
    assert part.image_paths.tolist() == paths[1:2]
    assert full.get_subset([]).image_paths.tolist() == []
    assert full.get_subset([]).names_by_id() == []
    assert [info['sample_id'] for info in full.infos_of([3, 1])] == [3, 1]


def test_positions_of_samples(image_list):
    part = ImageList(**image_list()).get_subset([7, 2, 9])
    assert part.positions_of([9, 7, 9]).tolist() == [2, 0, 2]
    assert part.positions_of([]).tolist() == []
    for wanted in ([7, 3, 50], [50, 3], [3]):
        with pytest.raises(ValueError, match='samples are not in this .*sample 3'):
            part.positions_of(wanted)


def test_subset_shares_the_annotations(image_list):
    full = ImageList(**image_list())
    for other in (full.get_subset([1, 2]), copy.deepcopy(full)):
        assert other.data_bytes is full.data_bytes
    with pytest.raises(IndexError, match='13 samples .* only 12'):
        full.get_subset(13)
    assert len(full.get_subset(12)) == 12
    assert full.get_subset(np.array([4, 5])).sample_ids.tolist() == [4, 5]
