"""Stacked samples are the same samples as data samples."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch, has_field, stack_field


@pytest.fixture
def samples():
    found = []
    for i in range(4):
        sample = DataSample(metainfo=dict(sample_id=10 + i, img_path=f'{i}.png'))
        sample.set_gt_label(i % 3).set_gt_score(np.eye(3)[i % 3])
        sample.set_field(np.array([i, -i], np.float32), 'gt_va')
        found.append(sample)
    return found


def same(first, second):
    assert set(first.keys()) == set(second.keys())
    assert first.metainfo == second.metainfo
    for name, value in first.items():
        other = second.get(name)
        assert type(value) is type(other)
        assert (torch.as_tensor(value) == torch.as_tensor(other)).all()


def test_round_trip(samples):
    batch = SampleBatch.from_samples(samples)
    assert len(batch) == 4
    assert batch.gt_label.tolist() == [0, 1, 2, 0]
    assert batch.sample_id.tolist() == [10, 11, 12, 13]
    assert batch.gt_va.shape == (4, 2)
    for first, second in zip(samples, batch, strict=True):
        same(first, second)
    for first, second in zip(samples, pickle.loads(pickle.dumps(batch)), strict=True):
        same(first, second)


def test_rows_are_what_an_evaluator_makes_of_data_samples(samples):
    for row, sample in zip(
        SampleBatch.from_samples(samples).rows(), samples, strict=True
    ):
        expected = sample.to_dict()
        # Data samples note the number of classes when a score is set.
        expected.pop('num_classes')
        assert {**row, 'num_classes': None}.keys() >= expected.keys()
        for name, value in expected.items():
            assert np.all(np.asarray(row[name]) == np.asarray(value)), name


def test_fields_follow_the_data_samples(samples):
    batch = SampleBatch.from_samples(samples)
    batch[2].set_gt_label(1)
    for i, sample in enumerate(batch):
        sample.set_field(torch.tensor(float(i)), 'uncertainty')
    assert batch.gt_label.tolist() == [0, 1, 1, 0]
    assert batch.uncertainty.tolist() == [0, 1, 2, 3]
    assert 'uncertainty' in batch
    moved = batch.to('cpu')
    assert moved.gt_label.tolist() == [0, 1, 1, 0]
    assert moved[3].uncertainty == 3


def test_slices_and_negative_indices(samples):
    batch = SampleBatch.from_samples(samples)
    assert [s.sample_id for s in batch[1:3]] == [11, 12]
    assert batch[-1].sample_id == 13
    assert batch[-1] is batch[3]
    with pytest.raises(IndexError):
        batch[4]


def test_replace_keeps_the_rest(samples):
    batch = SampleBatch.from_samples(samples)
    other = batch.replace(gt_label=torch.zeros(4, dtype=torch.int64))
    assert other.gt_label.tolist() == [0] * 4
    assert batch.gt_label.tolist() == [0, 1, 2, 0]
    assert other.gt_va is batch.gt_va
    moved = batch.replace(gt_va=torch.full((4, 2), 5.0))
    assert moved.rows()[1]['gt_va'].tolist() == moved[1].gt_va.tolist() == [5, 5]
    with pytest.raises(ValueError, match='entries'):
        batch.replace(gt_label=torch.zeros(3, dtype=torch.int64))


def test_missing_field(samples):
    batch = SampleBatch.from_samples(samples)
    with pytest.raises(AttributeError, match="no field 'pred_va'"):
        _ = batch.pred_va
    assert not has_field(batch, 'pred_va') and not has_field(samples, 'pred_va')


@pytest.mark.parametrize('name', ['gt_label', 'gt_score', 'gt_va'])
def test_stack_field_of_both_kinds(samples, name):
    batch = SampleBatch.from_samples(samples)
    assert torch.equal(stack_field(samples, name), stack_field(batch, name))


def test_samples_that_cannot_be_stacked():
    samples = [DataSample().set_gt_label([0, 1]), DataSample().set_gt_label([2])]
    with pytest.raises(ValueError, match='gt_label'):
        SampleBatch.from_samples(samples)
    with pytest.raises(ValueError, match='several values'):
        SampleBatch.from_samples([DataSample().set_gt_label([0, 1])] * 2)


def test_samples_with_other_fields_cannot_be_stacked(samples):
    samples[2].set_field(1.0, 'age')
    for order in (samples, samples[::-1], samples[2:]):
        with pytest.raises(ValueError, match=r"only some samples .* \['age'\]"):
            SampleBatch.from_samples(order)


def test_ids_of_other_data_sets_may_be_names():
    samples = [DataSample(metainfo=dict(sample_id=name)) for name in 'ab']
    assert SampleBatch.from_samples(samples).sample_id == ['a', 'b']


def test_reading_data_samples_makes_no_others(samples, monkeypatch):
    """An evaluation loop of mmengine reads the last one of each batch."""
    batch = SampleBatch.from_samples(samples)
    made = []
    make = SampleBatch._make
    monkeypatch.setattr(
        SampleBatch, '_make', lambda self, i: made.append(i) or make(self, i)
    )
    last, label = batch[-1], batch.gt_label
    assert made == [3] and batch[3] is last
    for other in (batch.to('cpu'), batch.replace(), pickle.loads(pickle.dumps(batch))):
        assert torch.equal(other.gt_label, label)
    assert batch.gt_label is label and len(batch.rows()) == 4
    assert made == [3]
    last.set_gt_label(2)
    assert batch.gt_label.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize('read_first', [False, True])
def test_changes_in_place(samples, read_first):
    batch = SampleBatch.from_samples(samples)
    second = batch[1]
    if read_first:
        # The tensors are stacked again, and data samples are no views of them.
        batch[0].set_gt_label(2)
        assert batch.gt_label[0] == 2
    second.gt_label[0] = 0
    second.gt_va[:] = 9
    second.gt_score[2] = 0.5
    assert batch.gt_label[1] == 0
    assert batch.gt_va[1].tolist() == [9, 9]
    assert batch.gt_score[1, 2] == 0.5
    assert batch.to('cpu')[1].gt_va.tolist() == [9, 9]


def test_copies_have_the_changes(samples, monkeypatch):
    batch = SampleBatch.from_samples(samples)
    batch[1].set_gt_label(2)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self)
    for other in (
        batch.pin_memory(),
        pickle.loads(pickle.dumps(batch)),
        copy.copy(batch),
        copy.deepcopy(batch),
    ):
        assert other.gt_label.tolist() == [0, 2, 2, 0]
        # A change of a copy, in place, is seen in this copy.
        other[3].gt_va[0] = 7
        assert other.gt_va[3, 0] == 7


def test_fields_of_different_shapes_are_lists(samples):
    """Heads of a user may add what cannot be stacked."""
    batch = SampleBatch.from_samples(samples)
    for i, sample in enumerate(batch):
        sample.set_field(torch.zeros(i, 4), 'boxes')
    assert batch.gt_label.tolist() == [0, 1, 2, 0]
    assert [len(boxes) for boxes in batch.to('cpu').boxes] == [0, 1, 2, 3]
    assert len(batch.rows()[2]['boxes']) == 2
    batch[0].set_gt_label([0, 1])
    with pytest.raises(ValueError, match='gt_label'):
        _ = batch.gt_label
