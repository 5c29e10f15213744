"""SCE against loops and published values."""

import math

import pytest
import torch
import torch.nn.functional as F
from golden_peers import assert_golden, golden
from helpers import CONFIGS, tiny_config, train
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.sce.losses import cross_entropy, reverse_cross_entropy
from mmfer.methods.sce.sce_head import PRESETS
from mmfer.registry import MODELS

LABELS = [0, 2, 1, 1, 0]
REPRODUCTION = dict(preset='reproduction')


def build(num_classes=3, in_channels=4, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='SCEHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    ).double()


def samples(labels):
    return SampleBatch(dict(gt_label=torch.as_tensor(labels)))


def features(count=5):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


@pytest.mark.parametrize(
    'name, options',
    [
        ('sce_cifar10', REPRODUCTION),
        ('sce_cifar100_paper', dict(REPRODUCTION, alpha=6, beta=0.1)),
        ('sce_cifar100_reproduction', dict(REPRODUCTION, alpha=6, beta=1)),
        ('sce_cifar10_A4', dict(preset='paper', rce_clip=1e-7)),
        ('sce_official', dict(preset='official')),
    ],
)
def test_equals_the_published_codes(name, options):
    data = golden(name)
    assert options.get('alpha', 0.1) == data['options']['alpha']
    assert options.get('beta', 1) == data['options']['beta']
    logits, target = data['inputs']['logits'], data['inputs']['target']
    count = logits.shape[1]
    head = build(count, count, **options)
    torch.nn.init.eye_(head.fc.weight)
    torch.nn.init.zeros_(head.fc.bias)
    loss = sum(head.loss((logits.requires_grad_(),), samples(target)).values())
    assert_golden(loss, data['outputs']['loss'])
    assert_golden(torch.autograd.grad(loss, logits)[0], data['outputs']['grad'])


# -- loops ---------------------------------------------------------------------
def loop_losses(head, x):
    """Both terms, one number at a time, with the zero of the label replaced."""
    ce = rce = 0.0
    for i, label in enumerate(LABELS):
        logits = [
            sum(head.fc.weight[c, d] * x[i, d] for d in range(4)) + head.fc.bias[c]
            for c in range(3)
        ]
        for c in range(3):
            p = logits[c].exp() / sum(v.exp() for v in logits)
            if c == label:
                ce -= (
                    head.alpha * (p if p > head.ce_clip else p * 0 + head.ce_clip).log()
                )
            else:
                p = p if p > head.rce_clip else p * 0 + head.rce_clip
                rce -= head.beta * p * head.log_zero
    return ce / len(LABELS), rce / len(LABELS)


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(preset='paper', alpha=6.0, beta=0.1),
        dict(ce_clip=0.2, rce_clip=0.3),
        dict(alpha=0),
        dict(beta=0),
    ],
)
def test_losses_and_gradients(options):
    head, x = build(**options), features()
    # Some probabilities lie below the large clips.
    with torch.no_grad():
        head.fc.weight.normal_(generator=torch.Generator().manual_seed(2))
    found = head.loss((x,), samples(LABELS))
    assert list(found) == ['loss_ce', 'loss_rce']
    inputs = (x, head.fc.weight, head.fc.bias)
    for got, want in zip(found.values(), loop_losses(head, x), strict=True):
        torch.testing.assert_close(got, torch.as_tensor(want))
        if got.detach() == 0:
            continue
        grads = torch.autograd.grad(got, inputs, retain_graph=True)
        wanted = torch.autograd.grad(want, inputs, retain_graph=True)
        for a, b in zip(grads, wanted, strict=True):
            torch.testing.assert_close(a, b)


def test_terms():
    logits, labels = features().detach()[:, :3], torch.tensor(LABELS)
    log_prob = logits.log_softmax(dim=1)
    torch.testing.assert_close(
        cross_entropy(log_prob, labels),
        F.cross_entropy(logits, labels, reduction='none'),
    )
    own = log_prob.exp()[torch.arange(5), labels]
    torch.testing.assert_close(
        reverse_cross_entropy(log_prob, labels, -4.0), 4 * (1 - own)
    )
    # Symmetric noise adds a constant: the sum over all labels does not depend on p.
    total = sum(
        reverse_cross_entropy(log_prob, torch.full((5,), c), -4.0) for c in range(3)
    )
    torch.testing.assert_close(total, torch.full((5,), 8.0, dtype=torch.float64))


def test_float32_of_extreme_logits():
    logits = torch.tensor([[0.0, 300.0], [300.0, 0.0]], requires_grad=True)
    head = build(2, 2).float()
    torch.nn.init.eye_(head.fc.weight)
    loss = sum(head.loss((logits,), samples([0, 0])).values())
    assert loss.isfinite()
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()


# -- the head --------------------------------------------------------------------
def test_presets():
    assert build().log_zero == pytest.approx(-9.21, abs=1e-3)
    assert build(preset='paper').log_zero == -4
    for name, options in PRESETS.items():
        head = build(preset=name)
        assert {key: getattr(head, key) for key in options} == options
    assert build(preset='official', ce_clip=0.0).ce_clip == 0


@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(size):
    x = features(size)
    loss = sum(build().loss((x,), samples([0] * size)).values())
    assert loss.isfinite()
    assert torch.autograd.grad(loss, x)[0].isfinite().all()


def test_float32_within_autocast():
    head, x = build().float(), features().detach().float()
    want = head.loss((x,), samples(LABELS))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = head.loss((x,), samples(LABELS))
        rough = head.loss((x.bfloat16(),), samples(LABELS))
    for name, value in want.items():
        assert torch.equal(got[name], value)
        assert rough[name].dtype == torch.float32


def test_lists_of_samples_and_predictions():
    head, x = build(), features()
    listed = [DataSample().set_gt_label(y) for y in LABELS]
    for name, value in head.loss((x,), samples(LABELS)).items():
        assert torch.equal(head.loss((x,), listed)[name], value)
    for sample in head.predict((x,)):
        assert sample.uncertainty.item() == pytest.approx(
            1 - sample.pred_score.max().item()
        )


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(alpha=-1), 'alpha must be a number of at least 0, got -1'),
        (dict(beta=math.nan), 'beta must be a number of at least 0, got nan'),
        (dict(alpha=0, beta=0), 'both 0, so there is no loss'),
        (dict(log_zero=0), 'log_zero must be a number below 0, got 0'),
        (dict(ce_clip=1), r'ce_clip must lie in \[0, 1\), got 1'),
        (dict(rce_clip=-0.1), r'rce_clip must lie in \[0, 1\), got -0.1'),
        (dict(preset='code'), "preset must be 'default', .* got 'code'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_trains(tmp_path):
    runner = train(tiny_config(tmp_path, 'sce/sce_r18_synthfaces_noise30'))
    logged = runner.message_hub.log_scalars
    total = logged['train/loss'].data[0][-1]
    parts = [logged[f'train/loss_{name}'].data[0][-1] for name in ('ce', 'rce')]
    assert total == pytest.approx(sum(parts), rel=1e-5)
    assert (tmp_path / 'sample_scores.csv').is_file()


def test_networks_of_the_papers():
    """The 8-layer CNN, and the layers of the joint GAN's encoder."""

    def parameters(name):
        cfg = Config.fromfile(f'{CONFIGS}/{name}.py')
        model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
        return [tuple(p.shape) for p in model.parameters() if p.ndim > 1]

    layers = parameters('sce/sce_cnn8_cifar10')
    assert len(layers) == 8 and layers[-2:] == [(256, 3136), (10, 256)]
    for name in ('rafbase', 'cifar10_multinoise_majority'):
        single = 'rafbase_expression' if name == 'rafbase' else name
        assert parameters(f'sce/sce_vgg16_{name}') == parameters(
            f'ce/ce_vgg16_{single}'
        )
