"""Predictions as tensors equal those as data samples."""

import pytest
import torch
from mmpretrain.models.heads import LinearClsHead
from mmpretrain.structures import DataSample

from mmfer.methods.ce import CEHead
from mmfer.models import FERClassifier
from mmfer.models.predictions import BatchPrediction, add_predictions, predict_batch


def test_each_sample_gets_its_row():
    scores = torch.tensor([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])
    given = [DataSample().set_gt_label(2), None]
    samples = add_predictions(
        dict(
            pred_score=scores,
            uncertainty=torch.tensor([0.5, 2.0]),
            pred_va=torch.tensor([[0.0, 0.1], [-1.0, 0.3]]),
        ),
        given,
    )
    assert samples[0] is given[0] and samples[0].gt_label.item() == 2
    assert [s.pred_label.tolist() for s in samples] == [[1], [0]]
    assert torch.equal(torch.stack([s.pred_score for s in samples]), scores)
    assert [s.uncertainty.item() for s in samples] == [0.5, 2.0]
    assert samples[1].pred_va.tolist() == pytest.approx([-1, 0.3])


def test_without_classes():
    (sample,) = add_predictions(dict(pred_va=torch.zeros(1, 2)))
    assert sample.pred_va.tolist() == [0, 0]
    assert 'pred_label' not in sample and 'pred_score' not in sample


def test_lengths_must_agree():
    with pytest.raises(ValueError):
        add_predictions(dict(pred_va=torch.zeros(2, 2)), [DataSample()])


class Doubtful(CEHead):
    """A head that overrides predict(), as heads of mmpretrain do."""

    def predict(self, feats, data_samples=None):
        samples = super().predict(feats, data_samples)
        for sample in samples:
            sample.set_field(torch.tensor(7.0), 'uncertainty')
        return samples


def test_what_a_subclass_predicts_counts():
    """An override counts in a head, and in a classifier around it."""
    feats = torch.randn(5, 4)
    found = predict_batch(Doubtful(3, 4), (feats,))
    assert found['uncertainty'].tolist() == [7] * 5
    model = FERClassifier(
        backbone=dict(type='ResNetSmallStem', depth=18),
        neck=dict(type='FeaturePooling'),
        head=Doubtful(3, 512),
        data_preprocessor=dict(input_shape=(3, 32, 32), num_classes=3),
    ).eval()
    images = torch.randn(2, 3, 32, 32)
    assert predict_batch(model, images)['uncertainty'].tolist() == [7, 7]
    assert model.predict_batch(images)['uncertainty'].tolist() == [7, 7]
    model.head = CEHead(3, 512)
    assert (predict_batch(model, images)['uncertainty'] < 1).all()


def test_heads_of_mmpretrain_have_no_uncertainty():
    torch.manual_seed(0)
    ours, theirs = CEHead(3, 4), LinearClsHead(3, 4)
    theirs.load_state_dict(ours.state_dict())
    feats = (torch.randn(5, 4),)
    found, plain = predict_batch(ours, feats), predict_batch(theirs, feats)
    assert set(found) == {'pred_score', 'uncertainty'}
    assert set(plain) == {'pred_score'}
    assert torch.equal(found['pred_score'], plain['pred_score'])
    assert torch.equal(found['uncertainty'], 1 - plain['pred_score'].max(dim=1).values)
    for one, other in zip(ours.predict(feats), theirs.predict(feats), strict=True):
        assert torch.equal(one.pred_label, other.pred_label)
        assert torch.equal(one.pred_score, other.pred_score)


def test_bases_in_the_wrong_order():
    """They would lose the uncertainty without a word."""
    with pytest.raises(TypeError, match='Write BatchPrediction first'):

        class Wrong(LinearClsHead, BatchPrediction):
            pass

    class Right(BatchPrediction, LinearClsHead):
        pass

    with pytest.raises(NotImplementedError, match='Right has no predict_batch'):
        Right(2, 2).predict((torch.zeros(1, 2),))

    class Own(LinearClsHead, BatchPrediction):
        def predict(self, feats, data_samples=None):
            return data_samples

    assert Own(2, 2).predict(None, [1]) == [1]
