"""Two classifiers: parts, predictions, scores and bad input."""

import copy

import pytest
import torch
from helpers import TINY_CLASSIFIER
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.registry import MODELS

OTHER = dict(
    type='FERClassifier',
    backbone=dict(_delete_=True, type='MobileNetV2', widen_factor=0.1),
    neck=dict(type='FeaturePooling'),
    head=dict(type='CEHead'),
)


def build(**options):
    torch.manual_seed(0)
    settings = dict(
        type='DualNetwork',
        network1=TINY_CLASSIFIER,
        data_preprocessor=dict(input_shape=(1, 16, 16), num_classes=5),
    )
    model = MODELS.build(copy.deepcopy(dict(settings, **options)))
    model.init_weights()
    return model


def batch(count=6, classes=5):
    generator = torch.Generator().manual_seed(1)
    samples = [
        DataSample(metainfo=dict(sample_id=10 * i)).set_gt_label(i % classes)
        for i in range(count)
    ]
    return torch.randn(count, 1, 16, 16, generator=generator), samples


def test_network2_says_what_is_different():
    other = dict(backbone=dict(_delete_=True, type='MobileNetV2', widen_factor=0.1))
    before = copy.deepcopy(other)
    model = MODELS.build(
        dict(
            type='DualNetwork',
            network1=TINY_CLASSIFIER,
            network2=other,
            data_preprocessor=dict(input_shape=(1, 16, 16), num_classes=5),
        )
    )
    assert other == before
    assert type(model.network2.backbone).__name__ == 'MobileNetV2'
    assert type(model.network2.head).__name__ == 'CEHead'
    model = build(network2=dict(backbone=dict(base_channels=8)))
    assert [n.backbone.base_channels for n in model.networks] == [4, 8]


@pytest.mark.parametrize('network2', [None, OTHER])
def test_each_network_is_a_classifier_of_its_own(network2):
    model = build(network2=network2).eval()
    inputs, _ = batch()
    logits = model(inputs)
    alone = [
        MODELS.build(
            dict(cfg, data_preprocessor=dict(input_shape=(1, 16, 16), num_classes=5))
        )
        for cfg in (
            TINY_CLASSIFIER,
            Config._merge_a_into_b(network2 or {}, TINY_CLASSIFIER),
        )
    ]
    for index, classifier in enumerate(alone):
        prefix = f'network{index + 1}.'
        state = {
            k[len(prefix) :]: v
            for k, v in model.state_dict().items()
            if k.startswith(prefix)
        }
        classifier.load_state_dict(state)  # strict
        assert torch.equal(classifier.eval()(inputs), logits[index])
    assert not torch.equal(*logits)


def test_networks_start_differently():
    model = build()
    weights = [n.backbone.conv1.weight for n in model.networks]
    assert not torch.equal(*weights)


@pytest.mark.parametrize('chosen', ['network1', 'network2', 'mean', 'sum'])
def test_prediction(chosen):
    model = build(predict_with=chosen).eval()
    inputs, samples = batch()
    with torch.no_grad():
        logits = model(inputs)
        first, second = (x.softmax(1) for x in logits)
        predictions = model(inputs, samples, mode='predict')
    expected = dict(
        network1=first,
        network2=second,
        mean=(first + second) / 2,
        sum=sum(logits).softmax(1),
    )[chosen]
    for i, sample in enumerate(predictions):
        assert torch.allclose(sample.pred_score, expected[i])
        assert sample.pred_label.item() == expected[i].argmax()
        assert sample.uncertainty.item() == pytest.approx(
            1 - expected[i].max().item(), abs=1e-6
        )
        assert torch.allclose(sample.network_scores, torch.stack([first[i], second[i]]))
        assert sample.sample_id == 10 * i and sample.gt_label.item() == i % 5
    assert len(model(inputs, mode='predict')) == 6


def test_by_itself_it_trains_both_with_cross_entropy():
    model = build()
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    labels = torch.arange(6) % 5
    for name, logits in zip(('loss_network1', 'loss_network2'), model(inputs)):
        expected = torch.nn.functional.cross_entropy(logits, labels)
        assert losses[name].item() == pytest.approx(expected.item(), rel=1e-5)


def test_different_class_counts():
    with pytest.raises(ValueError, match='network1 has 5 classes and network2 has 7'):
        build(network2=dict(head=dict(num_classes=7)))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(predict_with='both'), 'predict_with'),
        (dict(score_source='log'), 'score_source'),
        (dict(warmup_epochs=0), 'at least 1'),
        (dict(refit_interval=0), 'at least 1'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_schedule():
    model = build(warmup_epochs=2, refit_interval=3)
    due = [epoch for epoch in range(12) if model.refit_due(epoch)]
    assert due == [1, 4, 7, 10]
    warming = []
    for epoch in range(4):
        model.start_epoch(epoch)
        warming.append(model.warming_up)
    assert warming == [True, True, False, False]
    model.check_schedule(3)
    with pytest.raises(ValueError, match='warmup_epochs=2'):
        model.check_schedule(2)


def test_collection():
    model = build()
    inputs, samples = batch()
    model.start_epoch(0)
    model(inputs, samples, mode='loss')
    model.eval()
    model(inputs, samples, mode='loss')  # a validation loss is not collected
    model.train()
    model(inputs[:2], samples[:2], mode='loss')
    ids, values = model.take_collected()
    assert ids.tolist() == [0, 10, 20, 30, 40, 50, 0, 10]
    assert values.shape == (2, 8)
    probs = [x.softmax(1) for x in model(inputs[:2])]
    for k in range(2):
        for i in range(2):
            p = probs[k][i]
            assert values[k, 6 + i] == pytest.approx((p[i] / p.norm()).item(), rel=1e-5)
    model.start_epoch(1)
    samples = [DataSample().set_gt_label(0) for _ in range(6)]
    with pytest.raises(ValueError, match='PackFERInputs'):
        model(inputs, samples, mode='loss')


@pytest.mark.parametrize('source', ['pass', 'augmented_pass'])
def test_nothing_is_collected_for_a_pass(source):
    model = build(score_source=source)
    model.start_epoch(0)
    model(*batch(), mode='loss')
    assert model._collected is None


@pytest.mark.parametrize('agreement', ['similarity', 'loss'])
def test_scores_and_logits_measure_alike(agreement):
    model = build(noise_model=dict(agreement=agreement))
    logits = torch.randn(2, 9, 5)
    labels = torch.arange(9) % 5
    from_logits = model.measure(list(logits.log_softmax(2)), labels)
    from_scores = model.measure_scores(logits.softmax(2).transpose(0, 1), labels)
    assert torch.allclose(from_logits, from_scores, atol=1e-5)
    # A softmax in float32 can be exactly zero.
    sure = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert model.measure_scores(sure, torch.tensor([0])).isfinite().all()


def test_batch_of_one():
    model = build(data_preprocessor=dict(input_shape=(1, 32, 32), num_classes=5))
    samples = batch(1)[1]
    losses = model(torch.randn(1, 1, 32, 32), samples, mode='loss')
    assert all(v.isfinite() for v in losses.values())


def test_missing_weights_are_named_with_their_place_in_the_config():
    lost = dict(type='Pretrained', checkpoint='nowhere/face.pth')
    with pytest.raises(
        FileNotFoundError,
        match=r'nowhere/face.pth(?s:.*)model\.network2\.backbone\.init_cfg',
    ):
        build(network2=dict(backbone=dict(init_cfg=lost)))
