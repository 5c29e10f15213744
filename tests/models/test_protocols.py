"""Protocols of a method; label scores of a single network."""

import csv

import pytest
import torch
from helpers import tiny_config, train
from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.models.heads import LinearClsHead

from mmfer.methods.ce import CEHead
from mmfer.models import DualNetwork, FERClassifier
from mmfer.models.predictions import predict_batch, score_labels
from mmfer.models.protocols import (
    Classifier,
    FollowsEpochs,
    Head,
    PredictsBatch,
    PredictsClasses,
    ScoresLabels,
)
from mmfer.registry import MODELS


@MODELS.register_module()
class MarginHead(CEHead):
    """A head that scores labels by their distance to the best class."""

    def predict_batch(self, feats):
        predictions = super().predict_batch(feats)
        best = self(feats).float().amax(dim=1)
        return dict(predictions, best_logit=best, logits=self(feats).float())

    def score_labels(self, predictions, labels):
        given = predictions['logits'][torch.arange(len(labels)), labels]
        margin = predictions['best_logit'] - given
        return dict(margin=margin, noise_score=1 - torch.exp(-margin))


class Forgetful(CEHead):
    def score_labels(self, predictions, labels):
        return dict(margin=labels.float())


class Fractional(CEHead):
    def score_labels(self, predictions, labels):
        return dict(noise_score=labels, suggested_label=labels + 0.5)


class Lengthy(CEHead):
    def score_labels(self, predictions, labels):
        return dict(noise_score=predictions['pred_score'])


def classifier(head, kind=FERClassifier):
    model = dict(
        backbone=dict(
            type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4
        ),
        neck=dict(type='FeaturePooling'),
        head=head,
    )
    if kind is FERClassifier:
        model['data_preprocessor'] = dict(input_shape=(3, 32, 32), num_classes=3)
    return kind(**model).eval()


def test_a_head_scores_labels():
    torch.manual_seed(0)
    for kind in (FERClassifier, ImageClassifier):
        model = classifier(MarginHead(3, 32), kind)
        with torch.no_grad():
            predictions = predict_batch(model, torch.randn(5, 3, 32, 32))
        labels = torch.tensor([0, 1, 2, 1, 0])
        columns = score_labels(model, predictions, labels)
        assert list(columns) == ['margin', 'noise_score']
        given = predictions['pred_score'][torch.arange(5), labels]
        ratio = given / predictions['pred_score'].amax(dim=1)
        assert torch.allclose(columns['noise_score'], 1 - ratio, atol=1e-6)


def test_a_model_is_asked_before_its_head():
    class Own(FERClassifier):
        def score_labels(self, predictions, labels):
            return dict(noise_score=labels + 0.5)

    model = classifier(MarginHead(3, 32), FERClassifier)
    model.__class__ = Own
    columns = score_labels(model, {}, torch.tensor([1, 0]))
    assert columns['noise_score'].tolist() == [1.5, 0.5]


def test_without_a_measure_of_its_own():
    assert score_labels(classifier(CEHead(3, 32)), {}, torch.zeros(2)) == {}
    assert score_labels(classifier(LinearClsHead(3, 32)), {}, torch.zeros(2)) == {}


@pytest.mark.parametrize(
    'head, message',
    [
        (
            Forgetful,
            r"Forgetful.score_labels returns \['margin'\] without a noise_score",
        ),
        (Lengthy, r"'noise_score' of shape \(4, 3\), .* each of the 4 labels"),
        (Fractional, 'suggested_label of type torch.float32, but classes are whole'),
    ],
)
def test_columns_that_do_not_fit(head, message):
    with pytest.raises(ValueError, match=message):
        score_labels(
            classifier(head(3, 32)),
            dict(pred_score=torch.zeros(4, 3)),
            torch.zeros(4, dtype=torch.long),
        )


def test_what_the_bases_offer():
    """Protocols list only names that our classes have."""
    head, model = CEHead(3, 32), classifier(CEHead(3, 32))
    assert isinstance(head, PredictsBatch) and not isinstance(head, ScoresLabels)
    assert isinstance(MarginHead(3, 32), ScoresLabels)
    assert not isinstance(model, PredictsClasses)
    for protocol, offered in (
        (Head, head),
        (Classifier, FERClassifier),
        (PredictsBatch, FERClassifier),
        (Classifier, DualNetwork),
        (PredictsBatch, DualNetwork),
        (ScoresLabels, DualNetwork),
        (FollowsEpochs, DualNetwork),
    ):
        for name in vars(protocol):
            if not name.startswith('_'):
                assert hasattr(offered, name), (protocol, name)


def test_a_training_writes_what_its_head_says(tmp_path):
    cfg = tiny_config(
        tmp_path,
        'ce/ce_r18_synthfaces_noise30',
        model__head__type='MarginHead',
        train_cfg__max_epochs=1,
    )
    runner = train(cfg)
    with open(tmp_path / 'sample_scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])
    assert names.index('margin') == names.index('noise_score') - 1
    assert len({row['margin'] for row in rows}) > 40
    dataset = runner.val_dataloader.dataset.pipeline, runner.train_dataloader.dataset
    packed = dataset[0](dataset[1].get_data_info(17))
    with torch.no_grad():
        sample = runner.model.eval().val_step(
            dict(inputs=packed['inputs'][None], data_samples=[packed['data_samples']])
        )[0]
    margin = sample.best_logit - sample.logits[int(rows[17]['given_label'])]
    assert float(rows[17]['margin']) == pytest.approx(float(margin), abs=1e-3)
    assert float(rows[17]['noise_score']) == pytest.approx(
        1 - float(torch.exp(-margin)), abs=1e-3
    )
