"""Mixup, CutMix and Manifold Mixup: mixtures, labels, layers and draws."""

import random

import numpy as np
import pytest
import torch
from helpers import CONFIGS, tiny_config, train
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.mixup.manifold_mixup import ManifoldMixup, Mixture, mix_with_partners
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

C = 5


def build(**options):
    torch.manual_seed(0)
    cfg = dict(
        type='FERClassifier',
        backbone=dict(
            type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4
        ),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
        data_preprocessor=dict(
            type='FERDataPreprocessor', input_shape=(3, 32, 32), num_classes=C
        ),
    )
    return MODELS.build(dict(cfg, **options))


def batch(count=6):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 32, 32, generator=generator)
    return images, [DataSample().set_gt_label(i % C) for i in range(count)]


def loop_loss(logits, labels, mixture):
    """Cross-entropy of each mixture against both labels, one image at a time."""
    total = 0.0
    for i, row in enumerate(logits):
        log_prob = row - row.exp().sum().log()
        total -= mixture.ratio * log_prob[labels[i]]
        total -= (1 - mixture.ratio) * log_prob[labels[mixture.partners[i]]]
    return total / len(logits)


# -- the equations -----------------------------------------------------------
def test_mixture_equals_the_loop():
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    mixture = Mixture(0.3, torch.tensor([2, 0, 1, 3]))
    got = mix_with_partners(x, mixture)
    want = torch.stack(
        [0.3 * x[i] + 0.7 * x[j] for i, j in enumerate(mixture.partners.tolist())]
    )
    torch.testing.assert_close(got, want)
    weight = torch.randn_like(x)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (got, want)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize('layer', ['input', 'layer1', 'layer4'])
def test_loss_equals_the_loop(layer):
    """Features of one layer are mixed, and labels in the same way."""
    model = build(latent_compensation=dict(type='ManifoldMixup', layers=[layer]))
    model.double()
    images, samples = batch()
    images = images.double()
    set_step(0, 3)
    loss = model(images, samples, mode='loss')['loss']
    clear_step()
    mixture = model.latent_compensation._mixture
    assert 0 < mixture.ratio < 1

    # The same by hand, layer by layer.
    plain = build().double()
    backbone, x = plain.backbone, images
    if layer == 'input':
        x = mix_with_partners(x, mixture)
    x = backbone.relu(backbone.norm1(backbone.conv1(x)))
    for name in backbone.res_layers:
        x = getattr(backbone, name)(x)
        if name == layer:
            x = mix_with_partners(x, mixture)
    logits = plain.head(plain.neck((x,)))
    want = loop_loss(logits, [i % C for i in range(len(images))], mixture)
    torch.testing.assert_close(loss, want)
    loss.backward(), want.backward()
    for (name, got), other in zip(
        model.named_parameters(), plain.parameters(), strict=True
    ):
        torch.testing.assert_close(got.grad, other.grad, msg=name)


@pytest.mark.parametrize('type', ['Mixup', 'CutMix'])
def test_soft_labels_of_the_head(type):
    """The loss of CEHead on labels that mmpretrain mixed, against the loop."""
    model = build(
        train_cfg=dict(augments=dict(type=type, alpha=1.0)),
        data_preprocessor=dict(input_shape=(3, 32, 32), num_classes=C),
    )
    images, samples = batch()
    data = dict(
        inputs=images * 50 + 100, data_samples=SampleBatch.from_samples(samples)
    )
    np.random.seed(1)
    torch.manual_seed(0)
    data = model.data_preprocessor(data, training=True)
    scores = data['data_samples'].gt_score
    torch.testing.assert_close(scores.sum(1), torch.ones(6))
    assert ((scores > 0) & (scores < 1)).any()
    model.eval()
    got = model(**data, mode='loss')['loss']
    logits = model(data['inputs'])
    want = 0.0
    for row, target in zip(logits, scores, strict=True):
        log_prob = row - row.exp().sum().log()
        want -= sum(target[c] * log_prob[c] for c in range(C)) / len(logits)
    torch.testing.assert_close(got, want)


# -- draws -------------------------------------------------------------------
def test_draws_of_a_step_come_from_seed_and_step_alone():
    module, seen = ManifoldMixup(), []
    keys = [('layer1', None), ('layer2', 0), ('layer2', 1)]
    for state, step in enumerate((5, 5, 6)):
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)
        set_step(0, step)
        module._labels_wait = False
        draws = module.draw_pass(keys)
        mixture = module.draw_mixture(16, draws['layer1', None].key)
        seen.append((draws, mixture.ratio, mixture.partners.tolist()))
    clear_step()
    assert seen[0] == seen[1] and seen[0][1:] != seen[2][1:]


def test_one_layer_is_drawn_with_all_its_maps():
    module, counts = ManifoldMixup(), dict(input=0, layer1=0, layer2=0)
    for seed in range(600):
        random.seed(seed)
        draws = module.draw_pass([('layer1', None), ('layer2', 0), ('layer2', 1)])
        opened = {key[0] for key, draw in draws.items() if draw.opens}
        assert len(opened) == 1
        assert draws['layer2', 0] == draws['layer2', 1]
        counts[opened.pop()] += 1
    assert all(abs(count - 200) < 50 for count in counts.values())


def test_ratios_and_gates_have_their_distributions():
    module = ManifoldMixup(alpha=2.0, prob=0.25, layers=['input'])
    random.seed(0)
    draws = [module.draw_pass([])['input', None] for _ in range(1200)]
    assert abs(sum(draw.opens for draw in draws) / 1200 - 0.25) < 0.05
    ratios = np.array([module.draw_mixture(2, draw.key).ratio for draw in draws])
    # The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
    assert abs(ratios.mean() - 0.5) < 0.03 and abs(ratios.var() - 0.05) < 0.01


# -- in a model --------------------------------------------------------------
def test_acts_in_training_only_and_adds_no_key():
    model, plain = build(latent_compensation=dict(type='ManifoldMixup')), build()
    assert list(model.state_dict()) == list(plain.state_dict())
    assert model.latent_compensation.layers == ['input', 'layer1', 'layer2']
    images, samples = batch()
    model.eval(), plain.eval()
    losses = [m(images, samples, mode='loss')['loss'] for m in (model, plain)]
    torch.testing.assert_close(*losses)
    assert torch.equal(model(images), plain(images))


def test_closed_gate_trains_as_if_absent():
    model = build(latent_compensation=dict(type='ManifoldMixup', prob=0.0))
    images, samples = batch()
    losses = [m(images, samples, mode='loss')['loss'] for m in (model, build())]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize('count', [1, 2])
def test_small_batches(count):
    model = build(latent_compensation=dict(type='ManifoldMixup'))
    images, samples = batch(count)
    model(images, samples, mode='loss')['loss'].backward()


def test_a_layer_that_runs_again_is_mixed_in_the_same_way():
    gradients = []
    for with_cp in (False, True):
        backbone = dict(
            type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4
        )
        model = build(
            backbone=dict(backbone, with_cp=with_cp),
            latent_compensation=dict(type='ManifoldMixup', layers=['layer1.0.conv1']),
        )
        images, samples = batch()
        set_step(0, 1)
        model(images.requires_grad_(), samples, mode='loss')['loss'].backward()
        clear_step()
        gradients.append(model.backbone.conv1.weight.grad)
    torch.testing.assert_close(*gradients)


def test_labels_that_nobody_mixes_are_an_error():
    model = build(latent_compensation=dict(type='ManifoldMixup'))
    images, _ = batch()
    set_step(0, 0)
    model.extract_feat(images)
    set_step(0, 1)
    with pytest.raises(RuntimeError, match='nobody asked for mixed labels'):
        model.extract_feat(images)
    clear_step()


def test_heads_that_need_one_label_refuse():
    model = build(
        neck=dict(type='UncertaintyNeck'),
        head=dict(type='RULHead'),
        latent_compensation=dict(type='ManifoldMixup'),
    )
    images, samples = batch()
    with pytest.raises(ValueError, match='this method needs one label'):
        model(images, samples, mode='loss')


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(alpha=0), 'ManifoldMixup: alpha must be a number above 0'),
        (dict(prob=2), 'ManifoldMixup: prob must lie in'),
        (dict(layers=[]), 'ManifoldMixup: layers is empty'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='ManifoldMixup', **options))


def test_models_with_a_loss_of_their_own_refuse():
    """They would train on mixed images with unmixed labels."""
    with pytest.raises(ValueError, match='EACClassifier .* ManifoldMixup, which mixes'):
        build(
            type='EACClassifier',
            neck=dict(type='LastMap'),
            head=dict(type='EACHead'),
            latent_compensation=dict(type='ManifoldMixup'),
        )


def test_overfits_a_batch():
    model = build(latent_compensation=dict(type='ManifoldMixup', alpha=0.2))
    images, samples = batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    random.seed(0)
    for _ in range(30):
        optimizer.zero_grad()
        model(images, samples, mode='loss')['loss'].backward()
        optimizer.step()
    # In train mode, because BatchNorm statistics have not converged after 30 steps.
    with torch.no_grad():
        assert model(images, samples, mode='loss')['loss'] < 0.7


def test_passes_without_gradients_are_not_mixed():
    model = build(latent_compensation=dict(type='ManifoldMixup'))
    images, samples = batch()
    with torch.no_grad():
        losses = [m(images, samples, mode='loss')['loss'] for m in (model, build())]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize('variant', ['', '_cutmix', '_manifold'])
def test_trains(variant, tmp_path):
    """To the score table, with the default noise score."""
    cfg = tiny_config(tmp_path, f'mixup/mixup_r18_synthfaces_noise30{variant}')
    cfg.train_cfg.max_epochs = 1
    train(cfg)
    header = (tmp_path / 'sample_scores.csv').read_text().splitlines()[0]
    assert 'noise_score' in header


def test_only_the_mixture_differs_from_cross_entropy():
    for dataset in ('ferplus', 'ferplus_noise30'):
        cfg, plain = (
            Config.fromfile(f'{CONFIGS}/{name}/{name}_r18_{dataset}.py')
            for name in ('mixup', 'ce')
        )
        assert cfg.model.pop('latent_compensation') == dict(
            type='ManifoldMixup', layers=['input'], alpha=1.0
        )
        assert cfg.to_dict() == plain.to_dict()
