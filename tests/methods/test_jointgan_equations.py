"""Two steps of each preset of the joint GAN against its equations, in float64.

The reference below has its own networks, losses and updates. It takes from the model
only the initial weights and the random draws.
"""

from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ddp_worker import double_precision
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmfer.methods.jointgan import joint_gan
from mmfer.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

BATCH, LATENT, CLASSES, SIDE, WIDTH = 4, 3, 7, 32, 4
RATES = dict(encoder=0.05, decoder=0.05, discriminator=0.02)
STEPS = 2


# -- the model under test -------------------------------------------------------
def build(label_sets, **options):
    init_default_scope('mmfer')
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='JointGAN',
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                input_shape=(1, SIDE, SIDE),
                num_classes=CLASSES,
                mean=[127.5],
                std=[127.5],
            ),
            encoder=dict(
                type='FERClassifier',
                backbone=dict(type='PlainVGG16', base_channels=WIDTH),
                head=dict(
                    type='MultiTaskHead',
                    label_sets=list(label_sets),
                    hidden_dim=12,
                    dropout=0.0,
                ),
            ),
            decoder=dict(base_channels=WIDTH),
            discriminator=dict(base_channels=WIDTH),
            latent_dim=LATENT,
            **options,
        )
    )
    model.init_weights()
    # Attention begins with a gain of 0, which would hide its part.
    with torch.no_grad():
        model.discriminator.image_stream.blocks[1].gain.fill_(0.5)
    return model.train()


def optimizers(model):
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='JointGANOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='OptimWrapper',
                optimizer=dict(type='SGD', lr=RATES['encoder']),
                discriminator=dict(optimizer=dict(lr=RATES['discriminator'])),
            ),
        )
    )(model)


def make_batch(label_sets, rng):
    """Images, labels of each set, and the same as a batch of the model."""
    images = rng.integers(0, 256, (BATCH, 1, SIDE, SIDE)).astype(np.uint8)
    # Eighths and their means are exact in float32.
    va = rng.integers(-8, 9, (BATCH, 2)) / 8
    labels = [va if x == 'va' else rng.integers(0, x, BATCH) for x in label_sets]
    classes = [x for x, entry in zip(labels, label_sets) if entry != 'va']
    samples = []
    for i in range(BATCH):
        sample = DataSample()
        if classes:
            sample.set_gt_label(int(classes[0][i]))
        sample.set_field(va[i].astype(np.float32), 'gt_va')
        if len(classes) > 1:
            sample.set_field(np.array([x[i] for x in classes]), 'gt_label_sets')
        samples.append(sample)
    data = dict(inputs=[torch.from_numpy(x) for x in images], data_samples=samples)
    return torch.from_numpy(images / 127.5 - 1), labels, data


# -- the reference ---------------------------------------------------------------
class Reference:
    """Networks, losses and updates, written out from their equations.

    Args:
        state (dict): Initial weights and vectors of the spectral norms.
        label_sets (list): Number of classes of each set, or ``'va'``.
        weight (float): lambda of Eq. 9.
        generator_first (bool): Algorithm 1, instead of the order of the code.
        paper_blocks (bool): Blocks of D as in the appendix.
        corrected_variances (bool): Variances of the concordance divide by N - 1.
        probabilities (bool): D gets probabilities of the encoder's classes.
    """

    def __init__(self, state, label_sets, weight, **flags):
        self.state = {
            name: value.detach().double().clone() for name, value in state.items()
        }
        self.label_sets, self.weight = label_sets, weight
        self.__dict__.update(flags)
        self.no_decoder = not any(name.startswith('decoder') for name in state)

    def normed(self, layer, transposed=False):
        """Weight divided by its largest singular value, after a power iteration."""
        name = f'{layer}.parametrizations.weight'
        weight = self.state[f'{name}.original']
        matrix = (weight.transpose(0, 1) if transposed else weight).flatten(1)
        with torch.no_grad():
            u = matrix @ self.state[f'{name}.0._v']
            u = u / u.norm()
            v = matrix.T @ u
            v = v / v.norm()
            self.state[f'{name}.0._u'], self.state[f'{name}.0._v'] = u, v
        return weight / (u @ matrix @ v), self.state.get(f'{layer}.bias')

    def linear(self, layer, x):
        weight, bias = self.normed(layer)
        return x @ weight.T + bias

    def convolve(self, layer, x):
        weight, bias = self.normed(layer)
        return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)

    def encode(self, x):
        """Label outputs, and mean and log-variance of the latent vector."""
        layer = 0
        for depth in (2, 2, 3, 3, 3):
            for _ in range(depth):
                name = f'encoder.backbone.features.{layer}'
                x = F.conv2d(
                    x, self.state[f'{name}.weight'], self.state[f'{name}.bias'], 1, 1
                )
                x, layer = x.clamp(min=0), layer + 2
            x, layer = F.max_pool2d(x, 2), layer + 1
        x = x.flatten(1)

        def plain(name, x):
            name = f'encoder.head.{name}'
            return x @ self.state[f'{name}.weight'].T + self.state[f'{name}.bias']

        x = plain('hidden.0', x).clamp(min=0)
        x = plain('hidden.3', x).clamp(min=0)
        outputs, start = [], 0
        for entry in self.label_sets:
            size = 2 if entry == 'va' else entry
            outputs.append(plain('labels', x)[:, start : start + size])
            start += size
        if self.no_decoder:
            return outputs, None, None
        return outputs, plain('mean', x), plain('log_variance', x)

    def decode(self, x):
        x = self.linear('decoder.linear.0', x).clamp(min=0)[:, :, None, None]
        for block in range(5):
            layer = f'decoder.layers.{3 * block}'
            weight, bias = self.normed(layer, transposed=True)
            x = F.conv_transpose2d(x, weight, bias, 2, 1)
            if block < 4:
                norm = f'decoder.layers.{3 * block + 1}'
                mean = x.mean((0, 2, 3), keepdim=True)
                variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
                x = (x - mean) / (variance + 1e-5) ** 0.5
                x = x * self.state[f'{norm}.weight'][:, None, None]
                x = (x + self.state[f'{norm}.bias'][:, None, None]).clamp(min=0)
        return x.tanh()

    def residual(self, name, x, first, down):
        if self.paper_blocks:
            y = self.convolve(f'{name}.conv1', x).clamp(min=0)
            y = self.convolve(f'{name}.conv2', y).clamp(min=0)
        else:
            y = self.convolve(f'{name}.conv1', x if first else x.clamp(min=0))
            y = self.convolve(f'{name}.conv2', y.clamp(min=0))
        if not down:
            return x + y
        return F.avg_pool2d(y + self.convolve(f'{name}.skip', x), 2)

    def attend(self, name, x):
        query, key, value = [
            F.conv2d(x, self.normed(f'{name}.{part}')[0])
            for part in ('query', 'key', 'value')
        ]
        key, value = F.max_pool2d(key, 2), F.max_pool2d(value, 2)
        logits = torch.einsum('bcij,bckl->bijkl', query, key)
        weights = logits.flatten(3).softmax(3).view(logits.shape)
        mixed = torch.einsum('bijkl,bckl->bcij', weights, value)
        mixed = F.conv2d(mixed, self.normed(f'{name}.output')[0])
        return x + self.state[f'{name}.gain'] * mixed

    def mlp(self, name, x):
        hidden = self.linear(f'{name}.linear', x)
        total = 0 if self.paper_blocks else hidden
        for i in range(4):
            inner = self.linear(f'{name}.branches.{i}.0', hidden.clamp(min=0))
            total = total + self.linear(f'{name}.branches.{i}.2', inner.clamp(min=0))
        return total

    def scores(self, encoder_tuple, decoder_tuple):
        """All K scores of both tuples, each (B, K)."""
        image, *vectors = [torch.cat(x) for x in zip(encoder_tuple, decoder_tuple)]
        blocks = 'discriminator.image_stream.blocks'
        x = self.residual(f'{blocks}.0', image, True, True)
        x = self.attend(f'{blocks}.1', x)
        for i in range(2, 6):
            x = self.residual(f'{blocks}.{i}', x, False, True)
        x = self.residual(f'{blocks}.6', x, False, False).clamp(min=0)
        features = [x.sum((2, 3))]
        for i, vector in enumerate(vectors):
            features.append(self.mlp(f'discriminator.vector_streams.{i}', vector))
        scored = features[1:] if self.no_decoder else features
        found = [
            self.linear(f'discriminator.marginal_scores.{i}', feature)
            for i, feature in enumerate(scored)
        ]
        joint = self.mlp('discriminator.joint_stream', torch.cat(features, 1))
        found.append(self.linear('discriminator.joint_score', joint))
        return torch.cat(found, 1).chunk(2)

    def task_loss(self, outputs, labels):
        """f of Eq. 10, with gamma = 1."""
        loss = 0
        for entry, output, label in zip(self.label_sets, outputs, labels):
            if entry == 'va':
                loss = loss + 1
                for d in range(2):
                    loss = loss - self.concordance(output[:, d], label[:, d]) / 2
                continue
            for row, y in zip(output, label):
                loss = loss - (row[y] - row.exp().sum().log()) / BATCH
        return loss

    def concordance(self, p, y):
        y = torch.from_numpy(y)
        mean_p, mean_y = sum(p) / BATCH, sum(y) / BATCH
        covariance = sum((a - mean_p) * (b - mean_y) for a, b in zip(p, y)) / BATCH
        squares = sum((a - mean_p) ** 2 for a in p) + sum((b - mean_y) ** 2 for b in y)
        variances = squares / (BATCH - 1 if self.corrected_variances else BATCH)
        return 2 * covariance / (variances + (mean_p - mean_y) ** 2)

    def tuples(self, images, labels, draws):
        """What encoder and decoder make (Eq. 5), and the encoder's outputs."""
        outputs, mean, log_variance = self.encode(images)
        seen, given = [], []
        for entry, output, label in zip(self.label_sets, outputs, labels):
            if entry == 'va':
                seen.append(output)
                given.append(torch.from_numpy(label))
                continue
            share = output.exp() / output.exp().sum(1, keepdim=True)
            seen.append(share if self.probabilities else output)
            given.append(torch.eye(entry, dtype=torch.float64)[label])
        if self.no_decoder:
            return outputs, [images, *seen], [images, *given]
        latent, noise = draws
        inferred = mean + noise * log_variance.exp() ** 0.5
        made = self.decode(torch.cat([latent, *given], 1))
        return outputs, [images, inferred, *seen], [made, latent, *given]

    def update(self, loss, players):
        names = [
            name
            for name, value in self.state.items()
            if name.split('.')[0] in players and value.requires_grad
        ]
        gradients = torch.autograd.grad(
            loss, [self.state[name] for name in names], allow_unused=True
        )
        for name, gradient in zip(names, gradients):
            if gradient is not None:
                moved = self.state[name] - RATES[name.split('.')[0]] * gradient
                self.state[name] = moved.detach().requires_grad_()

    def step_discriminator(self, encoder_tuple, decoder_tuple):
        """Two updates by -g and -h of Eq. 10, on the same tuples."""
        fixed = [[x.detach() for x in t] for t in (encoder_tuple, decoder_tuple)]
        for _ in range(2):
            real, made = self.scores(*fixed)
            loss = 0
            for b in range(BATCH):
                for k in range(real.shape[1]):
                    loss = loss - (real[b, k] - 1).clamp(max=0)
                    loss = loss - (-made[b, k] - 1).clamp(max=0)
            loss = loss / real.numel()
            self.update(loss, ['discriminator'])
        return loss.item()

    def step(self, images, labels, draws):
        """One iteration of Algorithm 1, or of the published code."""
        for name, value in self.state.items():
            value.requires_grad_(
                value.is_floating_point()
                and not name.endswith(('_u', '_v', 'running_mean', 'running_var'))
            )
        outputs, *tuples = self.tuples(images, labels, draws)
        log = {}
        if not self.generator_first:
            log['d_loss'] = self.step_discriminator(*tuples)
        real, made = self.scores(*tuples)
        adversarial = sum(
            real[b, k] - made[b, k] for b in range(BATCH) for k in range(real.shape[1])
        )
        adversarial = adversarial / real.numel()
        loss = self.task_loss(outputs, labels) + self.weight * adversarial
        self.update(loss, ['encoder', 'decoder'])
        log.update(loss=loss.item(), g_loss=adversarial.item())
        if self.generator_first:
            log['d_loss'] = self.step_discriminator(
                *self.tuples(images, labels, draws)[1:]
            )
        return log


# -- the comparison ---------------------------------------------------------------
CODE = dict(
    generator_first=False,
    paper_blocks=False,
    corrected_variances=False,
    probabilities=False,
)
PAPER = dict(CODE, generator_first=True, paper_blocks=True)
OFFICIAL = dict(CODE, corrected_variances=True)
CASES = dict(
    default=(dict(), [CLASSES, 'va'], 0.4, CODE),
    paper=(dict(preset='paper'), [CLASSES, 'va'], 0.4, PAPER),
    official=(dict(preset='official'), [CLASSES, 'va'], 0.8, OFFICIAL),
    probabilities=(
        dict(label_form='probabilities'),
        [CLASSES, 'va', 3],
        0.4,
        dict(CODE, probabilities=True),
    ),
    paper_faces=(
        dict(preset='paper', adversarial_weight=1.0, label_form='probabilities'),
        ['va'],
        1.0,
        dict(PAPER, probabilities=True),
    ),
    order=(dict(order='paper'), [CLASSES], 0.4, dict(CODE, generator_first=True)),
    no_decoder=(dict(preset='paper', use_decoder=False), [CLASSES, 'va'], 0.4, PAPER),
)


@pytest.mark.parametrize('case', CASES)
def test_steps(case, monkeypatch):
    options, label_sets, weight, flags = CASES[case]
    rng = np.random.default_rng(0)
    with double_precision():
        model = build(label_sets, **options)
        reference = Reference(model.state_dict(), label_sets, weight, **flags)
        wrappers = optimizers(model)
        for _ in range(STEPS):
            images, labels, data = make_batch(label_sets, rng)
            draws = [torch.from_numpy(x) for x in rng.normal(size=(2, BATCH, LATENT))]
            drawn = mock.Mock(return_value=draws)
            monkeypatch.setattr(joint_gan, 'draw_latents', drawn)
            got = model.train_step(data, wrappers)
            want = reference.step(images, labels, draws)
            # The tuples after an update have the random numbers of those before it.
            assert drawn.call_count == 1
            for name, value in want.items():
                assert got[name].item() == pytest.approx(value, rel=1e-9), name
        state = model.state_dict()
    compared = {
        name: value
        for name, value in reference.state.items()
        if not name.endswith(('running_mean', 'running_var', 'num_batches_tracked'))
    }
    assert compared
    for name, value in compared.items():
        assert state[name].dtype == torch.float64, name
        torch.testing.assert_close(
            state[name], value.detach(), rtol=1e-9, atol=1e-11, msg=name
        )
