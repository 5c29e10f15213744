"""The joint-distribution GAN: networks, losses, and the game."""

import math
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmfer.methods.jointgan import JointGANDecoder, JointGANDiscriminator, options
from mmfer.methods.jointgan.discriminator import MLPBlock, ResidualBlock, SelfAttention
from mmfer.methods.jointgan.game import frozen
from mmfer.methods.jointgan.generation import (
    class_agreement,
    class_labels,
    known_labels,
    mean_va,
    recompute_bn_stats,
    tile,
    va_labels,
)
from mmfer.methods.jointgan.label_sets import LabelSets
from mmfer.methods.jointgan.latent import sample_latent
from mmfer.methods.jointgan.losses import (
    concordance,
    concordance_loss,
    discriminator_loss,
    generator_loss,
)
from mmfer.methods.jointgan.pictures import as_file, frame
from mmfer.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmfer.utils import presets

FORMS = ('logits', 'probabilities')


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def preprocessor(size=32, channels=1, classes=7):
    return dict(
        type='FERDataPreprocessor',
        input_shape=(channels, size, size),
        num_classes=classes,
        mean=[127.5] * channels,
        std=[127.5] * channels,
    )


def make_model(label_sets=(7, 'va'), size=32, width=4, **options):
    init_default_scope('mmfer')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            dict(
                type='JointGAN',
                data_preprocessor=preprocessor(size),
                encoder=dict(
                    type='FERClassifier',
                    backbone=dict(type='PlainVGG16', base_channels=width),
                    head=dict(
                        type='MultiTaskHead',
                        label_sets=list(label_sets),
                        hidden_dim=16,
                        dropout=0.0,
                    ),
                ),
                decoder=dict(base_channels=width),
                discriminator=dict(base_channels=width),
                latent_dim=5,
            ),
            **options,
        )
    )
    model.init_weights()
    return model.train()


def make_batch(count=8, size=32, sets=None, va=True, seed=0):
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(count):
        sample = DataSample()
        sample.set_gt_label(int(rng.integers(7)))
        if va:
            sample.set_field(rng.uniform(-1, 1, 2).astype(np.float32), 'gt_va')
        if sets:
            sample.set_field(rng.integers(0, sets), 'gt_label_sets')
        samples.append(sample)
    images = [
        torch.from_numpy(rng.integers(0, 256, (1, size, size)).astype(np.uint8))
        for _ in range(count)
    ]
    return dict(inputs=images, data_samples=samples)


def make_optimizers(model, **options):
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='JointGANOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3), **options
            ),
        )
    )(model)


# -- networks -----------------------------------------------------------------
@pytest.mark.parametrize(
    'size, label_sets, hidden, encoder, decoder',
    [(32, [10, 10, 10], 512, 15.36, 11.09), (64, [7, 'va'], 500, 16.09, 11.20)],
)
def test_sizes_of_the_paper(size, label_sets, hidden, encoder, decoder):
    """Shapes and numbers of parameters, METHODS A1 to A3."""
    init_default_scope('mmfer')
    model = MODELS.build(
        dict(
            type='JointGAN',
            data_preprocessor=preprocessor(size, 3, label_sets[0]),
            encoder=dict(
                type='FERClassifier',
                backbone=dict(type='PlainVGG16'),
                head=dict(
                    type='MultiTaskHead', label_sets=label_sets, hidden_dim=hidden
                ),
            ),
        )
    )
    assert millions(model.encoder) == pytest.approx(encoder, rel=0.005)
    assert millions(model.decoder) == pytest.approx(decoder, rel=0.005)
    stream = model.discriminator.image_stream
    assert millions(stream) == pytest.approx(14.57, rel=0.005)
    dims = model.label_sets.dims
    images = torch.zeros(2, 3, size, size)
    encoding = model(images)
    assert [x.shape for x in encoding.labels] == [(2, d) for d in dims]
    assert encoding.mean.shape == encoding.log_variance.shape == (2, 100)
    made = model.decoder(torch.randn(2, 100 + sum(dims)))
    assert made.shape == images.shape and made.abs().max() <= 1
    scores = model.discriminator(images, [torch.randn(2, d) for d in [100, *dims]])
    assert scores.shape == (2, len(dims) + 3)
    assert len(model.score_names) == model.discriminator.num_scores


@pytest.mark.parametrize('size, blocks', [(32, 5), (64, 6), (128, 7)])
def test_decoder_doubles_from_one_pixel(size, blocks):
    decoder = JointGANDecoder(9, size, out_channels=1, base_channels=2)
    convolutions = [
        m for m in decoder.modules() if isinstance(m, torch.nn.ConvTranspose2d)
    ]
    assert len(convolutions) == blocks
    assert decoder(torch.randn(2, 9)).shape == (2, 1, size, size)
    JointGANDiscriminator([7], 5, True, size, 1, 2)(
        torch.zeros(2, 1, size, size), [torch.zeros(2, 5), torch.zeros(2, 7)]
    )


def test_spectral_norms_are_one():
    """All layers of the decoder but batch norms, all of D."""
    torch.manual_seed(0)
    discriminator = JointGANDiscriminator([7, 2], 5, base_channels=2)
    decoder = JointGANDecoder(14, 32, base_channels=2)
    for network, inputs in (
        (
            discriminator,
            (torch.randn(4, 3, 32, 32), [torch.randn(4, d) for d in (5, 7, 2)]),
        ),
        (decoder, (torch.randn(4, 14),)),
    ):
        for _ in range(60):
            network(*inputs)
        layers = [
            m
            for m in network.modules()
            if isinstance(
                m, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d)
            )
        ]
        assert len(layers) > 5
        for layer in layers:
            weight = layer.weight.detach()
            if isinstance(layer, torch.nn.ConvTranspose2d):
                weight = weight.transpose(0, 1)
            norm = torch.linalg.matrix_norm(weight.flatten(1), 2)
            assert norm == pytest.approx(1, abs=0.02)


def plain(layer, x):
    """A layer without its class: weight and bias as they are now."""
    weight = layer.weight.detach()
    bias = None if layer.bias is None else layer.bias.detach()
    if weight.ndim == 2:
        return F.linear(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


@torch.no_grad()
def test_blocks_equal_their_formulas():
    """In eval mode, where power iterations stand still; float64."""
    torch.manual_seed(0)
    x = torch.randn(3, 16, 8, 8, dtype=torch.float64)
    plain_block = ResidualBlock(16, 24, pre_activation=False).double().eval()
    want = plain(plain_block.conv1, x).clamp(min=0)
    want = plain(plain_block.conv2, want).clamp(min=0) + plain(plain_block.skip, x)
    assert torch.allclose(plain_block(x), F.avg_pool2d(want, 2))
    for first in (True, False):
        block = ResidualBlock(16, 24, first=first).double().eval()
        inner = x if first else x.clamp(min=0)
        want = plain(block.conv2, plain(block.conv1, inner).clamp(min=0))
        want = F.avg_pool2d(want, 2) + F.avg_pool2d(plain(block.skip, x), 2)
        assert torch.allclose(block(x), want)
    last = ResidualBlock(16, 16, downsample=False).double().eval()
    want = plain(last.conv2, plain(last.conv1, x.clamp(min=0)).clamp(min=0))
    assert torch.allclose(last(x), x + want)

    attention = SelfAttention(16).double().eval()
    assert torch.equal(attention(x), x)  # the gain begins at 0
    attention.gain.fill_(0.7)
    query, key, value = [
        plain(layer, x) for layer in (attention.query, attention.key, attention.value)
    ]
    assert query.shape[1] == key.shape[1] == 2 and value.shape[1] == 8
    want = torch.zeros(3, 8, 8, 8, dtype=torch.float64)
    key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
    for b in range(3):
        for i in range(8):
            for j in range(8):
                logits = torch.einsum('c,chw->hw', query[b, :, i, j], key[b])
                weights = logits.flatten().softmax(0).view(4, 4)
                want[b, :, i, j] = (weights * value[b]).sum((1, 2))
    want = x + 0.7 * plain(attention.output, want)
    assert torch.allclose(attention(x), want)

    vectors = torch.randn(3, 5, dtype=torch.float64)
    for shortcut in (True, False):
        mlp = MLPBlock(5, 6, shortcut).double().eval()
        hidden = plain(mlp.linear, vectors)
        want = shortcut * hidden
        for branch in mlp.branches:
            want += plain(branch[2], plain(branch[0], hidden.clamp(min=0)).clamp(min=0))
        assert len(mlp.branches) == 4
        assert torch.allclose(mlp(vectors), want)


# -- losses -------------------------------------------------------------------
def test_hinge_losses():
    """Eq. 9 and 10 sample by sample, and their means over B and K."""
    rng = np.random.default_rng(0)
    encoder, decoder = rng.normal(0, 2, (2, 6, 5))
    weights = np.array([1.0, 0.0, 2.0, 1.0, 0.5])
    want_d, want_g = 0.0, 0.0
    for b in range(6):
        for k in range(5):
            e, d = weights[k] * encoder[b, k], weights[k] * decoder[b, k]
            want_d -= min(0, e - 1) + min(0, -d - 1)
            want_g += e - d
    args = [torch.from_numpy(x) for x in (encoder, decoder, weights)]
    assert discriminator_loss(*args).mean().item() == pytest.approx(want_d / 30)
    assert generator_loss(*args).mean().item() == pytest.approx(want_g / 30)
    unweighted = [torch.from_numpy(x) for x in (encoder, decoder)]
    assert generator_loss(*unweighted).mean().item() == pytest.approx(
        (encoder - decoder).mean()
    )


def test_concordance():
    rng = np.random.default_rng(0)
    p, y = rng.normal(0, 1, (2, 20, 2))
    want = []
    for d in range(2):
        a, b = p[:, d], y[:, d]
        cov = sum((x - a.mean()) * (z - b.mean()) for x, z in zip(a, b)) / 20
        want.append(2 * cov / (a.var() + b.var() + (a.mean() - b.mean()) ** 2))
    got = concordance(torch.from_numpy(p), torch.from_numpy(y))
    assert got.tolist() == pytest.approx(want)
    same = torch.from_numpy(y)
    assert concordance(same, same).tolist() == pytest.approx([1, 1])
    assert concordance(same, -same + 2 * same.mean(0)).tolist() == pytest.approx(
        [-1, -1]
    )
    # The published estimator: (B - 1) / B for equal vectors.
    official = concordance(same, same, official=True)
    assert official.tolist() == pytest.approx([0.95, 0.95])


def test_missing_values_do_not_count():
    torch.manual_seed(0)
    p = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    y = torch.randn(6, 2, dtype=torch.float64)
    y[1, 0] = y[4, 1] = math.nan
    known = [0, 2, 3, 5]
    loss = concordance_loss(p, y)
    torch.testing.assert_close(loss, 1 - concordance(p[known], y[known]).mean())
    official = concordance_loss(p, y, official=True)
    torch.testing.assert_close(
        official, 1 - concordance(p[known], y[known], True).mean()
    )
    loss.backward()
    assert p.grad.isfinite().all()
    assert (p.grad[[1, 4]] == 0).all() and (p.grad[known] != 0).all()
    lone = torch.full((6, 2), math.nan, dtype=torch.float64)
    lone[0] = 0
    p.grad = None
    none = concordance_loss(p, lone)
    none.backward()
    assert none == 0 and (p.grad == 0).all()


def test_values_that_do_not_vary():
    p = torch.zeros(4, 2, requires_grad=True)
    loss = concordance_loss(p, torch.zeros(4, 2))
    loss.backward()
    assert loss == 1 and p.grad.isfinite().all()


def test_latent_vectors():
    torch.manual_seed(0)
    mean = torch.tensor([[1.0, -2.0]]).repeat(20000, 1).requires_grad_()
    log_variance = torch.tensor([[0.0, math.log(4)]]).repeat(20000, 1).requires_grad_()
    latent = sample_latent(mean, log_variance)
    assert torch.allclose(latent.mean(0), mean[0], atol=0.05)
    assert torch.allclose(latent.std(0), torch.tensor([1.0, 2.0]), atol=0.05)
    latent.sum().backward()
    assert (mean.grad == 1).all()
    assert torch.allclose(log_variance.grad, (latent - mean).detach() / 2, atol=1e-5)


# -- label sets ---------------------------------------------------------------
def test_label_sets():
    sets = LabelSets.of([7, 'va', 3])
    assert sets.dims == [7, 2, 3] and sets.discrete == [0, 2]
    samples = make_batch(4, sets=[7, 3])['data_samples']
    first, _, second = labels = sets.read(samples, torch.device('cpu'))
    assert first.tolist() == [s.gt_label_sets[0] for s in samples]
    assert second.tolist() == [s.gt_label_sets[1] for s in samples]
    vectors = sets.vectors(labels)
    assert [v.shape for v in vectors] == [(4, 7), (4, 2), (4, 3)]
    assert (vectors[2].argmax(1) == second).all()
    assert sets.complete(samples).tolist() == [0, 1, 2, 3]
    samples[1].gt_va[0] = math.nan
    assert sets.complete(samples).tolist() == [0, 2, 3]
    assert LabelSets.of([3]).complete(samples) is None


@pytest.mark.parametrize('entries', [[], [1], ['valence'], ['va', 'va'], [7.5]])
def test_label_sets_that_make_no_sense(entries):
    with pytest.raises(ValueError, match='label_sets'):
        LabelSets.of(entries)


def test_labels_beyond_the_head():
    samples = make_batch(40, sets=[7, 3])['data_samples']
    with pytest.raises(ValueError, match=r'\[7, 2\] classes'):
        LabelSets.of([7, 2]).read(samples, 'cpu')
    # One set of three is a choice that nobody made.
    with pytest.raises(ValueError, match='majority=True'):
        LabelSets.of([7]).read(samples, 'cpu')
    with pytest.raises(ValueError, match='data set has 7 classes'):
        make_model((10, 'va'))


@pytest.mark.parametrize('entries', [[7], [7, 3], ['va']])
def test_soft_labels_are_refused(entries):
    samples = make_batch(2, sets=[7, 3][: len(entries)])['data_samples']
    for sample in samples:
        sample.set_gt_score(torch.full((7,), 1 / 7))
    with pytest.raises(ValueError, match='gt_score'):
        LabelSets.of(entries).read(samples, 'cpu')


def test_values_alone():
    model = make_model(('va',)).eval()
    assert not model.encoder.head.predicts_classes
    batch = model.data_preprocessor(make_batch(3))
    predictions = model.predict(batch['inputs'], [None] * 3)
    assert all(p.pred_va.shape == (2,) for p in predictions)
    assert 'pred_score' not in predictions[0]


def test_mixed_precision():
    model = make_model()
    wrappers = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='JointGANOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='AutocastOptimWrapper',
                dtype='bfloat16',
                optimizer=dict(type='Adam', lr=1e-3),
            ),
        )
    )(model)
    exact = make_model().train_step(make_batch(), make_optimizers(model))
    result = model.train_step(make_batch(), wrappers)
    assert result['loss_ce'].item() == pytest.approx(exact['loss_ce'].item(), abs=0.03)
    assert all(v.dtype == torch.float32 and v.isfinite() for v in result.values())


def test_spectral_norms_move_in_every_update():
    """Also in that of the generator, in which D's weights stand still."""
    model = make_model()
    vectors = []
    step = model.step_discriminator

    def noted(*args):
        log = step(*args)
        vectors.append(
            {k: v.clone() for k, v in model.discriminator.state_dict().items()}
        )
        return log

    model.step_discriminator = noted
    model.train_step(make_batch(), make_optimizers(model))
    for name, value in model.discriminator.state_dict().items():
        same = torch.equal(value, vectors[0][name])
        assert same == (
            'original' in name or 'bias' in name or 'gain' in name or value.numel() == 1
        ), name


def test_samples_of_other_label_sets():
    sets = LabelSets.of([7, 3, 2])
    with pytest.raises(ValueError, match='3 discrete label sets'):
        sets.read(make_batch(2, sets=[7, 3])['data_samples'], 'cpu')
    with pytest.raises(ValueError, match='gt_label_sets'):
        sets.read(make_batch(2)['data_samples'], 'cpu')
    with pytest.raises(ValueError, match='gt_va'):
        LabelSets.of(['va']).read(make_batch(2, va=False)['data_samples'], 'cpu')


# -- the game -----------------------------------------------------------------
class Count(OptimWrapper):
    """Notes what was updated, and whose gradients there were."""

    def __init__(self, optimizer, log, name, model):
        super().__init__(optimizer)
        self.log, self.name, self.model = log, name, model

    def update_params(self, loss, *args, **kwargs):
        for parameter in self.model.parameters():
            parameter.grad = None
        loss.backward()
        self.log.append(
            (
                self.name,
                {
                    name
                    for name, module in self.model.named_children()
                    for p in module.parameters()
                    if p.grad is not None and p.grad.abs().sum() > 0
                },
            )
        )
        self.optimizer.step()
        self.optimizer.zero_grad()


@pytest.mark.parametrize('order, steps', [('official', 2), ('paper', 3)])
def test_updates_and_gradients(order, steps):
    """Who is updated, how often, and that the other gets no gradient."""
    model = make_model(order=order, discriminator_steps=steps)
    log, wrappers = [], make_optimizers(model)
    counting = {
        name: Count(wrapper.optimizer, log, name, model)
        for name, wrapper in wrappers.items()
    }
    encoders = []
    model.encoder.register_forward_hook(lambda *_: encoders.append(1))
    result = model.train_step(make_batch(), counting)
    generator = ('generator', {'encoder', 'decoder'})
    discriminator = [('discriminator', {'discriminator'})] * steps
    assert log == (
        [*discriminator, generator]
        if order == 'official'
        else [generator, *discriminator]
    )
    # One forward of the encoder for all updates, or another one after its update.
    assert len(encoders) == (1 if order == 'official' else 2)
    assert all(p.requires_grad for p in model.parameters())
    assert set(result) == {
        'loss',
        'loss_ce',
        'loss_va',
        *(f'{p}_{k}' for p in 'dg' for k in (*model.score_names, 'loss')),
    }


def test_loss_is_the_paper_s():
    """Eq. 9 written out, on the same tuples; dropout is off."""
    model = make_model(adversarial_weight=0.7)
    batch = make_batch()
    tuples = []
    make_tuples = model.make_tuples
    model.make_tuples = lambda *args: tuples.append(make_tuples(*args)) or tuples[-1]
    model.step_discriminator = lambda *args: {}
    discriminator = model.discriminator.eval()
    result = model.train_step(batch, make_optimizers(model))
    ((real, generated),) = tuples
    images = torch.stack(batch['inputs']) / 127.5 - 1
    assert torch.allclose(real[0], images, atol=1e-5)
    labels = torch.cat([s.gt_label for s in batch['data_samples']])
    va = torch.tensor(np.stack([s.gt_va for s in batch['data_samples']]))
    assert (generated[2].argmax(1) == labels).all()
    assert (generated[2].sum(1) == 1).all() and (generated[3] == va).all()
    ce = F.cross_entropy(real[2], labels)
    similarity = 1 - concordance(real[3], va).mean()
    with torch.no_grad():
        scores = [discriminator(t[0], t[1:]) for t in (real, generated)]
    adversarial = (scores[0] - scores[1]).mean()
    assert result['loss'].item() == pytest.approx(
        (ce + similarity + 0.7 * adversarial).item(), abs=1e-5
    )
    for i, name in enumerate(model.score_names):
        if name != 'labels':
            assert result[f'g_{name}'].item() == pytest.approx(
                (scores[0] - scores[1]).mean(0)[i].item(), abs=1e-5
            )


def test_without_the_game():
    model = make_model()
    model.in_game = False
    before = {k: v.clone() for k, v in model.named_parameters()}
    result = model.train_step(make_batch(), make_optimizers(model))
    assert set(result) == {'loss', 'loss_ce', 'loss_va'}
    moved = {
        k.split('.')[0]
        for k, v in model.named_parameters()
        if not torch.equal(v, before[k])
    }
    assert moved == {'encoder'}


def test_without_decoder():
    """Table 3: (x, logits) against (x, one-hot), without S_x and z."""
    model = make_model(use_decoder=False)
    assert model.decoder is None and model.encoder.head.latent_dim == 0
    assert model.score_names == ['labels', 'labels', 'joint']
    result = model.train_step(make_batch(), make_optimizers(model))
    assert {'d_labels', 'd_joint'} < set(result)
    assert 'd_image' not in result
    with pytest.raises(ValueError, match='generates no images'):
        model.generate(torch.zeros(1, 0), (torch.zeros(1).long(),))


def test_weights_of_scores_keep_their_number():
    """Without some scores the others weigh as much as before."""
    model = make_model()
    assert model.score_weights.tolist() == [1] * 5
    joint = make_model(score_weights=dict(image=0, latent=0, labels=0))
    assert joint.score_weights.tolist() == [0, 0, 0, 0, 1]
    results = [m.train_step(make_batch(), make_optimizers(m)) for m in (model, joint)]
    # Every score without weight has a hinge loss of 2.
    assert results[1]['d_image'] == results[1]['d_labels'] == 2
    assert results[1]['d_loss'].item() == pytest.approx(
        (4 * 2 + results[1]['d_joint'].item()) / 5
    )
    assert results[1]['g_image'] == results[1]['g_latent'] == 0
    assert results[1]['g_labels'] == 0 != results[1]['g_joint']
    assert results[1]['g_loss'].item() == pytest.approx(
        results[1]['g_joint'].item() / 5
    )
    with pytest.raises(ValueError, match='marginal'):
        make_model(score_weights=dict(marginal=0))
    with pytest.raises(ValueError, match='all score_weights are 0'):
        make_model(score_weights=dict.fromkeys(options.SCORE_KINDS, 0))


def test_mismatched_labels():
    """Each image's own prediction and latent vector, another's labels."""
    model = make_model(mismatch_weight=0.5)
    seen = []
    score = model.score

    def noted(discriminator, *tuples):
        scores = score(discriminator, *tuples)
        seen.append((tuples, scores))
        return scores

    model.score = noted
    log = model.train_step(make_batch(4), make_optimizers(model))
    (*_, last), by_generator = seen[:-1], seen[-1]
    (real, generated, mismatched), scores = last
    for i in (0, 1):
        assert mismatched[i] is real[i]
    for i in (2, 3):
        assert torch.equal(mismatched[i], real[i][[3, 0, 1, 2]])
    # Only the discriminator has a use for them.
    assert len(by_generator[0]) == 2
    want = (
        sum(max(0, 1 - x) for x in scores[0][:, -1].tolist()) / 4
        + sum(max(0, 1 + x) for x in scores[2][:, -1].tolist()) / 4
    )
    assert log['d_mismatch'].item() == pytest.approx(want, rel=1e-5)
    rest = sum(
        log[f'd_{kind}'] * count
        for kind, count in zip(options.SCORE_KINDS, (1, 1, 2, 1), strict=True)
    )
    assert log['d_loss'].item() == pytest.approx(
        (rest.item() + 0.5 * want) / 5, rel=1e-5
    )
    assert not log['d_loss'].requires_grad
    with pytest.raises(ValueError, match='mismatch_weight'):
        make_model(mismatch_weight=-1)


def test_samples_without_values_stay_out_of_the_game():
    model = make_model()
    batch = make_batch(8)
    for i in (0, 3):
        batch['data_samples'][i].gt_va[:] = np.nan
    seen = []
    score = model.score
    model.score = lambda d, *tuples: (
        seen.append([len(part) for part in tuples[0]]) or score(d, *tuples)
    )
    result = model.train_step(batch, make_optimizers(model))
    assert seen == [[6] * 4] * 3
    assert all(v.isfinite() for v in result.values())
    for sample in batch['data_samples'][1:]:
        sample.gt_va[:] = np.nan
    result = model.train_step(batch, make_optimizers(model))
    assert set(result) == {'loss', 'loss_ce', 'loss_va'}


def test_prediction_is_the_encoder_s():
    model = make_model((7, 3, 'va')).eval()
    batch = model.data_preprocessor(make_batch(4, sets=[7, 3]))
    with torch.no_grad():
        encoding = model(batch['inputs'])
        predictions = model.predict(**batch)
    scores = encoding.labels[0].softmax(1)
    for i, sample in enumerate(predictions):
        assert torch.allclose(sample.pred_score, scores[i])
        assert sample.pred_label.item() == scores[i].argmax()
        assert torch.equal(sample.pred_va, encoding.labels[2][i])
        assert sample.uncertainty == 1 - scores[i].max()


@pytest.mark.parametrize(
    'preset, weight, order, corrected, plain',
    [
        ('default', 0.4, 'official', False, False),
        ('paper', 0.4, 'paper', False, True),
        ('official', 0.8, 'official', True, False),
    ],
)
def test_presets(preset, weight, order, corrected, plain, monkeypatch):
    logger = mock.Mock()
    for module in (options, presets):
        monkeypatch.setattr(module, 'MMLogger', mock.Mock())
        module.MMLogger.get_current_instance.return_value = logger
    model = make_model(preset=preset)
    assert (model.adversarial_weight, model.order) == (weight, order)
    assert model.encoder.head.official_ccc == corrected
    blocks = [m for m in model.modules() if isinstance(m, ResidualBlock)]
    assert [not m.pre_activation for m in blocks] == [plain] * 6
    mlps = [m for m in model.modules() if isinstance(m, MLPBlock)]
    assert [not m.shortcut for m in mlps] == [plain] * 4
    assert model.label_form == 'logits'
    assert not logger.warning.called and not logger.info.called
    # Given options win.
    model = make_model(
        preset=preset,
        adversarial_weight=1.0,
        order='paper',
        discriminator=dict(base_channels=4, mlp_shortcut=True),
    )
    assert (model.adversarial_weight, model.order) == (1.0, 'paper')
    assert model.discriminator.joint_stream.shortcut
    told = ' '.join(call.args[0] for call in logger.warning.call_args_list)
    assert ("order='paper' instead of" in told) == (preset == 'official')
    assert ('discriminator.mlp_shortcut=True' in told) == (preset == 'paper')
    # Other data sets have other values of lambda, so this is no contradiction.
    assert 'adversarial_weight' not in told
    assert logger.info.called == (preset != 'default')


def test_probabilities_for_the_discriminator():
    """Classes only, in both kinds of game."""
    for sets, kind in (((7, 'va'), {}), ((7, 'va'), dict(use_decoder=False))):
        models = [make_model(sets, label_form=form, **kind) for form in FORMS]
        seen = []
        for model in models:
            score = model.score
            model.score = lambda d, *tuples, s=score, seen=seen: (
                seen.append(tuples[:2]) or s(d, *tuples)
            )
            torch.manual_seed(1)
            model.train_step(make_batch(), make_optimizers(model))
        logits, shares = seen[0], seen[3]
        torch.testing.assert_close(logits[0][-2].softmax(1), shares[0][-2])
        for i in (0, 1):
            for j in range(len(logits[0])):
                if (i, j) != (0, len(logits[0]) - 2):
                    assert torch.equal(logits[i][j], shares[i][j])
    # Gradients of the game reach the encoder through the probabilities.
    encoding = models[1].encoder(torch.randn(4, 1, 32, 32))
    predicted = models[1].label_sets.predicted(encoding.labels, 'probabilities')
    predicted[0][:, 0].sum().backward()
    assert models[1].encoder.head.labels.weight.grad[:7].abs().sum() > 0


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(preset='code'), 'preset'),
        (dict(label_form='softmax'), 'label_form'),
        (dict(adversarial_weight=-0.2), 'adversarial_weight'),
        (dict(discriminator=dict(residual_block='wide')), 'residual_block'),
        (dict(size=48), '48 x 48 .* 32, 64, 128'),
        (dict(size=48, use_decoder=False), '48 x 48 .* at least 64'),
        (dict(order='both'), 'order'),
        (dict(discriminator_steps=0), 'discriminator_steps'),
        (dict(data_preprocessor=dict(preprocessor(), std=[255.0])), '127.5'),
        (
            dict(data_preprocessor=dict(preprocessor(), input_shape=(1, 32, 64))),
            'not square',
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)


def test_optimizers():
    model = make_model()
    wrappers = make_optimizers(model, discriminator=dict(optimizer=dict(lr=4e-3)))
    assert [w.optimizer.param_groups[0]['lr'] for w in wrappers.values()] == [
        1e-3,
        4e-3,
    ]
    owned = [
        {id(p) for group in w.optimizer.param_groups for p in group['params']}
        for w in wrappers.values()
    ]
    assert not owned[0] & owned[1]
    assert owned[0] | owned[1] == {id(p) for p in model.parameters()}
    with pytest.raises(ValueError, match='accumulative_counts'):
        make_optimizers(model, accumulative_counts=2)


# -- pictures -----------------------------------------------------------------
def test_grids():
    sets = LabelSets.of([7, 'va'])
    means = np.arange(14).reshape(7, 2) / 14
    labels, va = class_labels(sets, 7, 3, means)
    assert labels.view(3, 7)[1].tolist() == list(range(7))
    assert torch.allclose(va.view(3, 7, 2)[2], torch.tensor(means).float())
    labels, va = va_labels(sets, 4, 3)
    assert set(labels.tolist()) == {4}
    # Arousal upwards, valence to the right.
    assert va.view(3, 3, 2)[0].tolist() == [[-1, 1], [0, 1], [1, 1]]
    assert va.view(3, 3, 2)[2, 0].tolist() == [-1, -1]
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones(
        (6, 2, 2, 1), np.uint8
    )
    picture = tile(images, 3, gap=1)[..., 0]
    assert picture.shape == (7, 10)
    assert picture[1, [1, 4, 7]].tolist() == [0, 1, 2]
    assert picture[4, [1, 4, 7]].tolist() == [3, 4, 5]
    assert (picture[0] == 255).all() and (picture[:, 0] == 255).all()


def test_batch_statistics_of_present_weights():
    """After them the decoder makes of labels what training has it make."""
    model = make_model()
    norms = [m for m in model.decoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        # As if weights had moved since.
        norm.running_mean.add_(3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rng = np.random.default_rng(0)
    labels, va = rng.integers(0, 7, 50), rng.uniform(-1, 1, (50, 2))
    decoder = recompute_bn_stats(model, labels, va, seed=0)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not decoder.training
    drawn = rng.integers(0, 50, 1000)
    given = (torch.from_numpy(labels[drawn]), torch.from_numpy(va[drawn]).float())
    latent = torch.randn(1000, model.latent_dim)
    model.decoder.train()
    wanted = model.generate(latent, given, model.decoder)
    assert (model.generate(latent, given, decoder) - wanted).abs().mean() < 0.1 * (
        model.generate(latent, given) - wanted
    ).abs().mean()


class Labels:
    """A data set of labels."""

    def __init__(self, labels, va):
        self.infos = [
            dict(gt_label=label, gt_va=value)
            for label, value in zip(labels, va, strict=True)
        ]

    def __len__(self):
        return len(self.infos)

    def get_data_info(self, index):
        return self.infos[index]


def test_agreement_of_encoder_and_decoder():
    """Of labels as often as they are, where valence and arousal are known."""
    model = make_model()
    va = np.zeros((20, 2), np.float32)
    va[5:] = np.nan
    dataset = Labels([3] * 4 + [6] + [0] * 15, va)
    labels, values = known_labels(model, dataset)
    assert labels.tolist() == [3, 3, 3, 3, 6] and values.shape == (5, 2)
    # An encoder that says 6 of everything.
    with torch.no_grad():
        model.encoder.head.labels.weight.zero_()
        model.encoder.head.labels.bias[6] = 1
    share = class_agreement(model, dataset, count=500)
    assert share == pytest.approx(0.2, abs=0.06)
    assert model.training
    everything = Labels([1, 2], np.full((2, 2), np.nan))
    assert len(known_labels(model, everything)[0]) == 2
    assert 0 <= class_agreement(model, everything, count=10) <= 1


def test_words_stand_beside_their_images():
    """Pixels of the grid are whole, and names are above their columns."""
    rng = np.random.default_rng(0)
    grid = tile(rng.integers(0, 256, (6, 32, 32, 1), np.uint8), 3)
    names = ['anger', 'happiness', 'neutral']
    figure = frame(grid, 2, columns=names, rows=['1', '-1'], ylabel='arousal')
    picture = cv2.imdecode(
        np.frombuffer(as_file(figure), np.uint8), cv2.IMREAD_GRAYSCALE
    )
    whole = np.repeat(np.repeat(grid[..., 0], 2, axis=0), 2, axis=1)
    error = cv2.matchTemplate(picture, whole, cv2.TM_SQDIFF).min()
    assert error / whole.size < 100
    panel = figure.axes[0]
    assert [t.get_text() for t in panel.get_xticklabels()] == names
    # From below to above, as images are from above to below.
    assert [t.get_text() for t in panel.get_yticklabels()] == ['-1', '1']


def test_mean_values_of_classes():
    va = np.array([[1, 0], [0, 1], [np.nan, 5], [0.5, 0.5]])
    got = mean_va(np.array([0, 0, 0, 2]), va, 3)
    assert got.tolist() == [[0.5, 0.5], [0, 0], [0.5, 0.5]]


def test_frozen():
    layer = torch.nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    with frozen(layer):
        assert not layer.weight.requires_grad
    assert layer.weight.requires_grad and not layer.bias.requires_grad
