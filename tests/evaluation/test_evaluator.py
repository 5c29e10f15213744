"""The evaluator of whole batches reports what mmengine's reports."""

import pytest
import torch
from mmengine.evaluator import Evaluator

from mmfer.datasets.batches import SampleBatch
from mmfer.evaluation import BatchEvaluator

METRICS = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]


def batches(uncertainty=True, sizes=(5, 5, 3)):
    generator = torch.Generator().manual_seed(0)
    for size in sizes:
        scores = torch.rand(size, 4, generator=generator).softmax(dim=1)
        fields = dict(
            gt_label=torch.randint(4, (size,), generator=generator),
            pred_score=scores,
            pred_label=scores.argmax(dim=1),
        )
        if uncertainty:
            fields['uncertainty'] = torch.rand(size, generator=generator)
        yield SampleBatch(fields, meta=dict(sample_id=torch.arange(size)))


@pytest.mark.parametrize('uncertainty', [True, False])
def test_same_figures(uncertainty):
    results = []
    for kind, as_list in ((Evaluator, True), (BatchEvaluator, False)):
        evaluator = kind(METRICS)
        for batch in batches(uncertainty):
            evaluator.process(list(batch) if as_list else batch)
        results.append(evaluator.evaluate(13))
    assert results[0] == results[1]
    assert 'accuracy/mean_class' in results[0]


def test_data_samples_of_other_models():
    evaluator = BatchEvaluator(METRICS)
    for batch in batches():
        evaluator.process(list(batch))
    assert evaluator.evaluate(13)['accuracy/top1'] >= 0


def test_valence_and_arousal():
    evaluator = BatchEvaluator([dict(type='ValenceArousal')])
    va = torch.rand(6, 2)
    evaluator.process(SampleBatch(dict(pred_va=va), dict(gt_va=va)))
    assert evaluator.evaluate(6)['va/ccc'] == pytest.approx(1)
