"""Predictions are written without pickle, and read back."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample

from mmfer.analysis.predictions import read_predictions
from mmfer.datasets.batches import SampleBatch
from mmfer.evaluation import BatchEvaluator, check_results_file, dump_predictions
from mmfer.utils.safe_pickle import read_arrays


def samples(count: int) -> list:
    rng = np.random.default_rng(0)
    found = []
    for i in range(count):
        scores = torch.tensor(rng.dirichlet(np.ones(3)), dtype=torch.float32)
        sample = DataSample(
            metainfo=dict(sample_id=10 + i, img_path=f'a/b\u20ac{i}.png')
        )
        sample.set_pred_score(scores).set_pred_label(scores.argmax()).set_gt_label(
            i % 3
        )
        sample.set_field(1 - scores.max(), 'uncertainty')
        sample.set_field(np.array([0.5, -0.5], np.float32), 'gt_va')
        # Of other lengths in each sample, and an object: neither is written.
        sample.set_field(np.arange(i), 'gt_label_sets')
        sample.set_field(dict(a=1), 'other')
        found.append(sample)
    return found


@pytest.mark.parametrize('kind', ['samples', 'batch'])
def test_round_trip(tmp_path, kind):
    path, wanted = str(tmp_path / 'new' / 'pred.npz'), samples(7)
    evaluator = (Evaluator if kind == 'samples' else BatchEvaluator)(metrics=[])
    evaluator.dataset_meta = dict(classes=('x', 'y', 'z'))
    dump_predictions(evaluator, path)
    for part in (wanted[:4], wanted[4:]):
        if kind == 'batch':
            part = SampleBatch.from_samples(
                [sample.new() for sample in map(without_lists, part)]
            )
        evaluator.process(part)
    assert evaluator.evaluate(7) == {}
    found = read_predictions(path)
    scores = torch.stack([sample.pred_score for sample in wanted]).numpy()
    assert np.array_equal(found.scores, scores)
    assert found.labels.tolist() == [i % 3 for i in range(7)]
    assert found.sample_id.tolist() == list(range(10, 17))
    assert found.images == [f'a/b\u20ac{i}.png' for i in range(7)]
    assert np.array_equal(found.uncertainty, 1 - scores.max(axis=1))
    assert found.classes == ['x', 'y', 'z']
    arrays = read_arrays(path)
    assert arrays['gt_va'].shape == (7, 2) and arrays['pred_label'].shape == (7,)
    assert 'other' not in arrays and 'gt_label_sets' not in arrays


def without_lists(sample: DataSample) -> DataSample:
    for name in ('gt_label_sets', 'other'):
        sample.pop(name)
    return sample


def test_names_of_files():
    check_results_file('a/pred.npz')
    check_results_file('a/m.json', metrics=True)
    with pytest.raises(ValueError, match='pickle can run code.*Use --out a/pred.npz'):
        check_results_file('a/pred.pkl')
    with pytest.raises(ValueError, match='.json, .yaml, .yml. Use --out m.json'):
        check_results_file('m.csv', metrics=True)
