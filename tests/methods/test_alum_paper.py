"""``preset='paper'`` of ALUM against Eqs. 2 to 14 as they are printed.

The reference computes one number at a time, in numpy, from the weights and the random
draws of the registered model. It shares no code with it.
"""

import math
import random
from unittest import mock

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmpretrain.structures import DataSample
from torch import nn

from mmfer.methods.alum import alum_head
from mmfer.models.latent_compensation import LatentCompensation
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

B, D, C, SIZE = 10, 3, 4, 3
# Class 3 has one image, so this image has no positive.
LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2, 3]
OPTIONS = dict(mine_ratio=0.2, margin=1.0, triplet_weight=0.003)


@MODELS.register_module()
class TwoLayers(nn.Module):
    """Two 1x1 convolutions, which a loop can repeat."""

    def __init__(self, init_cfg=None):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return (self.second(self.first(x)),)


def build(preset='paper', eps=0.0, **head):
    """A classifier that has nothing random but ALUM's own draws."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='FERClassifier',
            backbone=dict(type='TwoLayers'),
            neck=dict(type='UncertaintyNeck', out_channels=D, dropout=0.0),
            head=dict(type='ALUMHead', preset=preset, **{**OPTIONS, **head}),
            latent_compensation=dict(
                type='LatentCompensation',
                layers=['first', 'second'],
                preset=preset,
                eps=eps,
            ),
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=(2, SIZE, SIZE), num_classes=C
            ),
        )
    ).double()
    return model.train()


def images():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(size=(B, 2, SIZE, SIZE)))


def run(model, step=0):
    """The losses of a training step, and the random draws behind them."""
    noise, anchors, shuffled = [], [], []

    def spy(function, kept):
        def call(*args, **kwargs):
            kept.append(function(*args, **kwargs))
            return kept[-1]

        return call

    set_step(0, step)
    with (
        mock.patch.object(
            LatentCompensation,
            'draw_noise',
            autospec=True,
            side_effect=spy(LatentCompensation.draw_noise, noise),
        ),
        mock.patch.object(
            alum_head, 'choose_anchors', spy(alum_head.choose_anchors, anchors)
        ),
        mock.patch.object(
            alum_head, 'random_partners', spy(alum_head.random_partners, shuffled)
        ),
    ):
        losses = model.loss(images(), [DataSample().set_gt_label(y) for y in LABELS])
    clear_step()
    (anchors,), (shuffled,) = anchors, shuffled
    draws = dict(
        noise=[[draw.numpy() for draw in pair] for pair in noise],
        anchors=anchors.tolist(),
        shuffled=[p.tolist() for p in shuffled],
    )
    return losses, draws


# -- the paper, one number at a time -----------------------------------------------
def mean_of(values):
    values = list(values)
    return sum(values) / len(values)


def std_of(values):
    """Eqs. 3, 5 and 6: the divisor is the number of values."""
    values = list(values)
    centre = mean_of(values)
    return math.sqrt(mean_of([(v - centre) ** 2 for v in values]))


def compensated(features, epsilon):
    """Eqs. 2 to 7 with a single epsilon, (B, C)."""
    out = np.zeros_like(features)
    for c in range(features.shape[1]):
        means = [mean_of(image[c].ravel()) for image in features]
        stds = [std_of(image[c].ravel()) for image in features]
        mu, spread_mu = mean_of(means), std_of(means)
        sigma, spread_sigma = mean_of(stds), std_of(stds)
        for b in range(B):
            e = epsilon[b, c]
            for place in np.ndindex(SIZE, SIZE):
                out[(b, c, *place)] = (sigma + e * spread_sigma) * (
                    (features[(b, c, *place)] - mu) / sigma
                ) + (mu + e * spread_mu)
    return out


def convolved(features, weight, bias):
    """A 1x1 convolution, Eq. 1."""
    out = np.zeros((B, len(bias), SIZE, SIZE))
    for b, o, *place in np.ndindex(out.shape):
        out[(b, o, *place)] = bias[o] + sum(
            weight[o, i, 0, 0] * features[(b, i, *place)]
            for i in range(features.shape[1])
        )
    return out


def branch(features, weights, name):
    """One branch of Eq. 9, with the layers of RUL's code."""
    normed = np.zeros_like(features)
    for c in range(features.shape[1]):
        values = features[:, c].ravel()
        scale = math.sqrt(std_of(values) ** 2 + 2e-5)
        normed[:, c] = (features[:, c] - mean_of(values)) / scale
    flat = normed.reshape(B, -1)
    out = np.zeros((B, D))
    for d in range(D):
        column = [
            weights[f'neck.{name}.3.bias'][d]
            + sum(w * v for w, v in zip(weights[f'neck.{name}.3.weight'][d], row))
            for row in flat
        ]
        scale = math.sqrt(std_of(column) ** 2 + 2e-5)
        gain, shift = (weights[f'neck.{name}.4.{k}'][d] for k in ('weight', 'bias'))
        out[:, d] = [gain * (v - mean_of(column)) / scale + shift for v in column]
    return out


def cosine(a, b):
    return sum(p * q for p, q in zip(a, b)) / math.sqrt(
        sum(p * p for p in a) * sum(q * q for q in b)
    )


def batches(mu, anchors, shuffled):
    """Sec. 3.3: B+ and B-, mined for a share p and shuffled for the others."""
    plus, minus = [], []
    for i in range(B):
        same = [j for j in range(B) if LABELS[j] == LABELS[i] and j != i]
        other = [j for j in range(B) if LABELS[j] != LABELS[i]]
        distinct = min(same, key=lambda j: cosine(mu[i], mu[j]), default=None)
        similar = max(other, key=lambda j: cosine(mu[i], mu[j]), default=None)
        mined = anchors[i]
        plus.append(distinct if mined and distinct is not None else shuffled[0][i])
        minus.append(similar if mined and similar is not None else shuffled[1][i])
    return plus, minus


def reference(weights, draws):
    """L_C of Eq. 13 and lambda L_T of Eqs. 12 and 14."""
    features = images().numpy()
    for layer, (epsilon, same) in zip(('first', 'second'), draws['noise'], strict=True):
        assert (epsilon == same).all() and epsilon.shape[0] == B
        features = convolved(
            features,
            weights[f'backbone.{layer}.weight'],
            weights[f'backbone.{layer}.bias'],
        )
        features = compensated(features, epsilon)
    mu = branch(features, weights, 'mean')
    # The second branch predicts the logarithm of the variance, as in RUL's code.
    sigma = np.exp(branch(features, weights, 'log_var'))
    plus, minus = batches(mu, draws['anchors'], draws['shuffled'])
    classify, triplets = 0.0, 0.0
    for i in range(B):
        triplet = [i, plus[i], minus[i]]
        total = [sum(sigma[j][d] for j in triplet) for d in range(D)]
        mixed = [
            sum(sigma[j][d] / total[d] * mu[j][d] for j in triplet) for d in range(D)
        ]
        logits = [
            weights['head.fc.bias'][c]
            + sum(weights['head.fc.weight'][c][d] * mixed[d] for d in range(D))
            for c in range(C)
        ]
        norm = sum(math.exp(v) for v in logits)
        for j in triplet:
            classify -= math.log(math.exp(logits[LABELS[j]]) / norm) / B
        attraction = sum((mu[i][d] - mu[plus[i]][d]) ** 2 for d in range(D))
        repulsion = sum((mu[i][d] - mu[minus[i]][d]) ** 2 for d in range(D))
        triplets += max(attraction - repulsion + OPTIONS['margin'], 0)
    return classify, OPTIONS['triplet_weight'] * triplets


def weights_of(model):
    return {k: v.detach().numpy().copy() for k, v in model.named_parameters()}


@pytest.mark.parametrize('step', range(4))
def test_losses_are_those_of_the_printed_equations(step):
    model = build()
    losses, draws = run(model, step)
    assert len(draws['noise']) == 2, 'no gate is closed'
    assert sum(draws['anchors']) == round(0.2 * B)
    classify, triplets = reference(weights_of(model), draws)
    assert losses['loss_cls'].item() == pytest.approx(classify, rel=1e-10)
    assert losses['loss_triplet'].item() == pytest.approx(triplets, rel=1e-10)
    assert triplets > 0


def test_gradients_are_those_of_the_printed_equations():
    """Central differences of the reference, for some weights of every tensor."""
    model = build()
    losses, draws = run(model)
    sum(losses.values()).backward()
    gradients = {k: v.grad.numpy() for k, v in model.named_parameters()}
    weights = weights_of(model)
    generator = random.Random(0)
    for name, values in weights.items():
        place = tuple(generator.randrange(n) for n in values.shape)
        sides = []
        for shift in (1e-5, -1e-5):
            values[place] += shift
            sides.append(sum(reference(weights, draws)))
            values[place] -= shift
        want = (sides[0] - sides[1]) / 2e-5
        assert gradients[name][place] == pytest.approx(want, rel=1e-5, abs=1e-8), name


def test_what_the_equations_lack_changes_them_little():
    """The 1e-6 that keeps a dead channel from a division by 0."""
    printed, _ = run(build(eps=0.0))
    used, _ = run(build(eps=1e-6))
    for name, value in printed.items():
        assert used[name].item() == pytest.approx(value.item(), rel=1e-4)
        assert used[name].item() != value.item()


def test_a_dead_channel_is_finite():
    """All images have 0 in it, as a channel after a ReLU may."""
    x = torch.randn(4, 2, 3, 3).clamp(min=0)
    x[:, 1] = 0
    x.requires_grad_()
    module = MODELS.build(dict(type='LatentCompensation', preset='paper'))
    out = module(x)
    out.square().sum().backward()
    assert out.isfinite().all() and x.grad.isfinite().all()
    # The spread of nothing is the square root of eps.
    assert out[:, 1].abs().max() < 0.01


@pytest.mark.parametrize('backbone', ['r18', 'r50'])
def test_config_of_the_paper(backbone):
    """The config has both presets, and what Sec. 4.1 states."""
    cfg = Config.fromfile(f'{CONFIGS}/alum/alum_{backbone}_rafdb_paper.py')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    head, latent = model.head, model.latent_compensation
    assert (head.triplet_scope, head.triplet_reduction) == ('used', 'sum')
    assert (head.triplet_space, head.uncertainty) == ('raw', 'arithmetic')
    assert (head.mine_ratio, head.triplet_weight, head.margin) == (0.2, 0.003, 1)
    assert (latent.prob, latent.stats) == (1, 'batch')
    assert latent.shared_noise and not latent.unbiased
    assert cfg.train_dataloader.batch_size == cfg.test_dataloader.batch_size == 128
    assert not cfg.train_dataloader.drop_last
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=4e-4, weight_decay=1e-4)
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys['head.fc'].lr_mult == 10
    assert cfg.train_cfg.max_epochs == 60


# -- presets -----------------------------------------------------------------------
def test_the_default_preset_is_what_it_was():
    model = build('default', eps=1e-6)
    assert (model.head.triplet_scope, model.head.triplet_reduction) == ('mined', 'mean')
    assert model.head.uncertainty == 'geometric'
    latent = model.latent_compensation
    assert (latent.prob, latent.stats) == (0.5, 'instance')
    assert latent.unbiased and not latent.shared_noise


@pytest.mark.parametrize(
    'part, option',
    [
        (
            dict(type='ALUMHead', num_classes=C, in_channels=D),
            dict(triplet_scope='all'),
        ),
        (dict(type='LatentCompensation'), dict(prob=0.5)),
        (dict(type='LatentCompensation'), dict(unbiased=True)),
        (dict(type='LatentCompensation'), dict(shared_noise=False)),
    ],
)
def test_a_given_option_wins_and_is_logged(part, option):
    (name, value), *_ = option.items()
    with mock.patch('mmengine.logging.MMLogger.warning') as warning:
        built = MODELS.build(dict(part, preset='paper', **option))
    assert getattr(built, name) == value
    assert f'{name}={value!r} instead of' in warning.call_args[0][0]
    with mock.patch('mmengine.logging.MMLogger.warning') as warning:
        MODELS.build(dict(part, **option))
        MODELS.build(dict(part, preset='paper'))
    assert not warning.called


@pytest.mark.parametrize('type', ['ALUMHead', 'LatentCompensation'])
def test_there_is_no_published_code(type):
    part = dict(type=type, preset='official')
    if type == 'ALUMHead':
        part.update(num_classes=C, in_channels=D)
    with pytest.raises(ValueError, match="preset must be 'default' or 'paper'"):
        MODELS.build(part)


@pytest.mark.parametrize('lacking', ['positive', 'negative'])
def test_used_triplets_need_both_partners(lacking):
    with pytest.raises(ValueError, match=f'{lacking}=False.*Set triplet_weight=0'):
        build(**{lacking: False})
    losses, _ = run(build(**{lacking: False}, triplet_weight=0.0))
    assert list(losses) == ['loss_cls']
