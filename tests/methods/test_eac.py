"""EAC against published code, loops over single numbers, and its views."""

from unittest import mock

import numpy as np
import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import CONFIGS, tiny_config
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.methods.eac.losses import attention_maps, flip_consistency
from mmfer.methods.eac.views import MirroredViews
from mmfer.models.predictions import predict_batch, score_labels
from mmfer.registry import MODELS
from mmfer.utils.random import clear_step, set_step

B, D, C, H, W = 3, 4, 5, 2, 3
LABELS = [0, 4, 2]


def build(num_classes=C, in_channels=D, **options):
    torch.manual_seed(0)
    head = MODELS.build(
        dict(
            type='EACHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    )
    head.init_weights()
    return head.double()


def maps(*shape):
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, *(shape or (B, D, H, W)), generator=generator)
    return first.double().requires_grad_(), second.double().requires_grad_()


def samples(labels):
    return [DataSample().set_gt_label(int(y)) for y in labels]


def run(head, first, second, labels=LABELS):
    losses = head.loss((first,), samples(labels), mirrored=(second,))
    assert list(losses) == ['loss_cls', 'loss_consistency']
    return losses['loss_cls'], losses['loss_consistency']


# -- published code ------------------------------------------------------------
@pytest.mark.parametrize('name', ['eac_step_a', 'eac_step_b'])
def test_step_of_the_published_code(name):
    case = golden(name)
    given, want = case['inputs'], case['outputs']
    weight = case['options']['lam']
    head = build(*given['fc_weight'].shape, consistency_weight=weight)
    head.load_state_dict({'fc.weight': given['fc_weight'], 'fc.bias': given['fc_bias']})
    first, second = (
        given[name].clone().requires_grad_()
        for name in ('features', 'features_flipped')
    )
    cls, consistency = run(head, first, second, given['target'])
    assert_golden(head((first,)), want['logits'])
    assert_golden(cls, want['ce'])
    assert_golden(consistency / weight, want['flip_loss'])
    assert_golden(cls + consistency, want['loss'])
    if 'cam' in want:
        assert_golden(attention_maps(first, head.fc.weight), want['cam'])
    grads = torch.autograd.grad(
        consistency / weight, (first, second), retain_graph=True
    )
    assert_golden(grads[0], want['grad_flip_features'])
    assert_golden(grads[1], want['grad_flip_features_flipped'])
    grads = torch.autograd.grad(cls + consistency, (head.fc.weight, head.fc.bias))
    assert_golden(grads[0], want['grad_fc_weight'])
    assert_golden(grads[1], want['grad_fc_bias'])


# -- one number at a time ------------------------------------------------------
def loop_loss(first, second, weight, bias, labels, factor):
    """Loss of both terms; the weight of the maps is a constant."""
    fixed = weight.detach()
    total = 0.0
    for i in range(B):
        logits = [
            sum(
                weight[c, d]
                * sum(first[i, d, y, x] for y in range(H) for x in range(W))
                for d in range(D)
            )
            / (H * W)
            + bias[c]
            for c in range(C)
        ]
        total += (sum(z.exp() for z in logits).log() - logits[labels[i]]) / B
        for c in range(C):
            for y in range(H):
                for x in range(W):
                    here = sum(fixed[c, d] * first[i, d, y, x] for d in range(D))
                    there = sum(
                        fixed[c, d] * second[i, d, y, W - 1 - x] for d in range(D)
                    )
                    total += factor * (here - there) ** 2 / (B * C * H * W)
    return total


@pytest.mark.parametrize('factor', [5.0, 0.0, 0.3])
def test_loss_and_gradients(factor):
    head, (first, second) = build(consistency_weight=factor), maps()
    with torch.no_grad():
        head.fc.weight.normal_()
    inputs = (first, second, head.fc.weight, head.fc.bias)
    got = sum(run(head, first, second))
    want = loop_loss(*inputs, LABELS, factor)
    torch.testing.assert_close(got, want)
    grads = torch.autograd.grad(got, inputs)
    other = torch.autograd.grad(want, inputs, allow_unused=True)
    for a, b in zip(grads, other, strict=True):
        torch.testing.assert_close(a, b)
    # The image is learned from its first view alone, both get the consistency.
    assert (grads[1].abs().max() > 0) == (factor > 0)


def test_a_mirrored_map_is_consistent():
    first, _ = maps()
    weight = torch.randn(C, D).double()
    found = attention_maps(first, weight)
    assert flip_consistency(found, attention_maps(first.flip(3), weight)) == 0
    assert flip_consistency(found, found) > 0


def test_mean_attention_is_the_logit_without_bias():
    head, (first, _) = build(), maps()
    found = attention_maps(first, head.fc.weight).mean(dim=(2, 3)) + head.fc.bias
    torch.testing.assert_close(found, head((first,)))


@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(size):
    head, (first, second) = build(), maps(size, D, H, W)
    losses = run(head, first, second, [0] * size)
    grads = torch.autograd.grad(sum(losses), (first, second))
    assert all(grad.isfinite().all() for grad in grads)


def test_float32_within_autocast():
    head = build().float()
    first, second = (x.detach().float() for x in maps())
    want = run(head, first, second)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = run(head, first, second)
    assert got == want


def test_predictions():
    head, (first, _) = build(), maps()
    found = head.predict_batch((first,))
    want = torch.nn.functional.linear(
        first.mean(dim=(2, 3)), head.fc.weight, head.fc.bias
    )
    want = want.softmax(dim=1).float()
    torch.testing.assert_close(found['pred_score'], want)
    torch.testing.assert_close(found['uncertainty'], 1 - want.amax(dim=1))
    # Labels are scored by their probability, as for any method without a score.
    assert score_labels(head, found, torch.tensor(LABELS)) == {}


# -- maps without a width --------------------------------------------------------
@pytest.mark.parametrize('height', [1, 4])
def test_without_width_pooled_values_are_compared(height, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmfer.methods.eac.eac_head.print_log', lambda text, *args: lines.append(text)
    )
    head = build(map_size=(height, 1))
    assert f'{height} x 1 positions' in lines[0] and 'featmap' in lines[0]
    first, second = maps(B, D, height, 1)
    _, got = run(head, first, second)
    pooled = (x.mean(dim=(2, 3)) @ head.fc.weight.T for x in (first, second))
    torch.testing.assert_close(got, 5 * (next(pooled) - next(pooled)).square().mean())
    build(map_size=(3, 3))
    assert len(lines) == 1


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='ResNetSmallStem', depth=18, stem_channels=4, base_channels=4),
        dict(type='MobileNetV3', arch='small'),
        # Vectors, tokens and maps of a transformer.
        dict(type='VisionTransformer', arch='deit-t', patch_size=16, img_size=32),
        dict(
            type='VisionTransformer',
            arch='deit-t',
            patch_size=16,
            img_size=32,
            out_type='raw',
        ),
        dict(
            type='VisionTransformer',
            arch='deit-t',
            patch_size=16,
            img_size=32,
            out_type='featmap',
        ),
    ],
    ids=['resnet', 'mobilenet', 'vector', 'tokens', 'featmap'],
)
def test_any_backbone(backbone):
    cfg = Config.fromfile(f'{CONFIGS}/eac/eac_r18_synthfaces.py')
    preprocessor = dict(cfg.data_preprocessor, input_shape=(1, 32, 32))
    model = MODELS.build(
        dict(cfg.model, backbone=backbone, data_preprocessor=preprocessor)
    )
    losses = model(torch.randn(2, 1, 32, 32), samples([0, 1]), mode='loss')
    assert all(value.isfinite() for value in losses.values())
    logits = model.eval()(torch.randn(2, 1, 32, 32))
    assert logits.shape == (2, 7)


# -- the views ---------------------------------------------------------------------
def images(size=64):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (size, 3, 20, 24), generator=generator).float()


def mean_and_std():
    values = torch.tensor([[120.0, 110.0, 100.0], [60.0, 50.0, 40.0]])
    return tuple(values[:, :, None, None])


def normalised():
    mean, std = mean_and_std()
    return (images() - mean) / std


def views(x=None, seed=0, step=0, **options):
    set_step(seed, step)
    try:
        made = MirroredViews(**options).make(
            normalised() if x is None else x, mean_and_std()
        )
    finally:
        clear_step()
    return made


def erased(view, original):
    """Rectangles that differ from the original: (any, share, all of them zero)."""
    inside = (view != original).any(1)
    rows, columns = inside.any(2), inside.any(1)
    area = rows.sum(1) * columns.sum(1)
    assert torch.equal(area, inside.sum((1, 2)))
    assert (view.movedim(1, -1)[inside] == 0).all()
    return area > 0, area / inside[0].numel()


def test_independent_rectangles():
    x = normalised()
    first, second = views(noise_prob=0.0)
    chosen, share = erased(first, x)
    other, other_share = erased(second.flip(3), x)
    for found, size in ((chosen, share), (other, other_share)):
        assert 0.3 < found.float().mean() < 0.7
        # Sides are rounded to whole pixels.
        assert 0.01 < size[found].min() and size.max() < 0.28
        assert size[found].std() > 0.03
    assert not torch.equal(chosen, other)
    assert torch.equal(x, normalised()), 'the batch was changed'


def test_shared_rectangle():
    first, second = views(shared_erasing=True)
    assert torch.equal(second, first.flip(3))
    assert not torch.equal(first, normalised())


def test_noise_of_the_first_view():
    x = normalised()
    first, second = views(erase_prob=0.0)
    assert torch.equal(second, x.flip(3))
    changed = (first != x).flatten(1).any(1)
    assert 0.3 < changed.float().mean() < 0.7
    mean, std = mean_and_std()
    levels = first * std + mean
    assert levels.min() > -1e-3 and levels.max() < 255 + 1e-3
    inner = changed[:, None, None, None] & (images() > 30) & (images() < 225)
    noise = (levels - images())[inner]
    assert noise.var() == pytest.approx(30, rel=0.05)
    assert noise.mean().abs() < 0.1


@pytest.mark.parametrize('option', ['erase_prob', 'noise_prob'])
def test_extreme_probabilities(option):
    other = {'erase_prob', 'noise_prob'} - {option}
    never = dict.fromkeys(other, 0.0)
    x = normalised()
    assert torch.equal(views(**never, **{option: 0.0})[0], x)
    assert (views(**never, **{option: 1.0})[0] != x).flatten(1).any(1).all()


def test_grey_levels_without_normalisation():
    made = MirroredViews(noise_prob=1.0, erase_prob=0.0).make(images())
    assert made[0].min() >= 0 and made[0].max() <= 255
    assert (made[0] - images()).abs().max() < 5 * 30**0.5


def test_views_depend_on_seed_step_and_position():
    x = normalised()[:8]
    first, second = views(x)
    assert all(torch.equal(a, b) for a, b in zip(views(x), (first, second)))
    assert not torch.equal(views(x, step=1)[0], first)
    assert not torch.equal(views(x, seed=1)[0], first)
    for rank in range(2):
        with mock.patch(
            'mmfer.methods.eac.views.get_dist_info', return_value=(rank, 2)
        ):
            part = views(x[rank::2])
        for got, want in zip(part, (first, second)):
            torch.testing.assert_close(got, want[rank::2], rtol=0, atol=0)


def test_outside_of_a_step_views_differ():
    x = normalised()
    maker = MirroredViews()
    assert not torch.equal(maker.make(x)[0], maker.make(x)[0])
    with mock.patch('numpy.random.randint', return_value=np.int64(5)):
        assert torch.equal(maker.make(x)[0], maker.make(x)[0])


# -- the model ---------------------------------------------------------------------
def model(tmp_path, **options):
    cfg = tiny_config(tmp_path, 'eac/eac_r18_synthfaces_noise30')
    torch.manual_seed(0)
    return MODELS.build(
        dict(cfg.model, data_preprocessor=cfg.data_preprocessor, **options)
    )


def test_both_views_have_statistics_of_their_own(tmp_path):
    network = model(tmp_path).train()
    x = torch.randn(4, 1, 32, 32)
    with mock.patch.object(
        network.backbone, 'forward', wraps=network.backbone.forward
    ) as forward:
        network(x, samples([0, 1, 2, 3]), mode='loss')
    assert [tuple(call.args[0].shape) for call in forward.call_args_list] == [
        (4, 1, 32, 32)
    ] * 2
    counters = [v for k, v in network.state_dict().items() if k.endswith('tracked')]
    assert counters and all(value == 2 for value in counters)


def test_predictions_see_the_image_itself(tmp_path):
    network = model(tmp_path).eval()
    x = torch.randn(4, 1, 32, 32)
    with mock.patch.object(network.views, 'make', side_effect=AssertionError):
        logits = network(x)
        found = predict_batch(network, x)
    pooled = network.backbone(x)[-1].mean(dim=(2, 3))
    torch.testing.assert_close(logits, network.head.fc(pooled))
    torch.testing.assert_close(found['pred_score'], logits.softmax(dim=1))


def test_a_plain_classifier_is_told_its_type(tmp_path):
    network = model(tmp_path, type='FERClassifier')
    with pytest.raises(ValueError, match="model.type='EACClassifier'"):
        network(torch.randn(2, 1, 32, 32), samples([0, 1]), mode='loss')


def test_a_pooling_neck_is_refused(tmp_path):
    network = model(tmp_path, neck=dict(type='FeaturePooling'))
    with pytest.raises(ValueError, match="neck=dict\\(type='mmfer.LastMap'\\)"):
        network(torch.randn(2, 1, 32, 32))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(erase_prob=1.5), 'erase_prob must lie in \\[0, 1\\], got 1.5'),
        (dict(noise_prob=-0.1), 'noise_prob must lie in \\[0, 1\\]'),
        (dict(noise_variance=-1), 'noise_variance must be a number of at least 0'),
        (dict(erase_area=(0.3, 0.2)), 'erase_area must be two numbers .low, high.'),
        (dict(erase_area=(0.1, 1.2)), '0 < low <= high <= 1, got \\(0.1, 1.2\\)'),
        (dict(erase_aspect=(0, 1)), 'erase_aspect must be two numbers'),
        (dict(erase_aspect=0.5), 'erase_aspect must be two numbers .* got 0.5'),
    ],
)
def test_bad_options_of_the_views(options, message, tmp_path):
    with pytest.raises(ValueError, match=f'EACClassifier: .*{message}'):
        model(tmp_path, **options)


def test_bad_weight():
    with pytest.raises(ValueError, match='consistency_weight must be a number of at'):
        build(consistency_weight=-1)
