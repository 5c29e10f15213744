"""DMUE against the published code, loops, and one BatchNorm after another."""

import copy

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from golden_peers import assert_golden, golden
from helpers import CONFIGS
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.engine import GroupStepLR
from mmfer.methods.dmue import losses
from mmfer.methods.dmue.grouped_norm import GroupedBatchNorm, Groups
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS, PARAM_SCHEDULERS


@MODELS.register_module(force=True)
class OneConvolution(nn.Module):
    """A last stage of one convolution, after a layer that changes nothing."""

    def __init__(self, channels=4):
        super().__init__()
        self.layer3 = nn.Conv2d(channels, channels, 1, bias=False)
        self.layer4 = nn.Conv2d(channels, channels, 1, bias=False)
        nn.init.dirac_(self.layer3.weight)

    def forward(self, x):
        return (self.layer4(self.layer3(x)),)


def tiny(channels=4, num_classes=4, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmfer.DMUEClassifier',
            backbone=dict(type='OneConvolution', channels=channels),
            neck=dict(type='FeaturePooling'),
            head=dict(type='DMUEHead', **options),
            data_preprocessor=dict(
                type='FERDataPreprocessor',
                input_shape=(channels, 2, 2),
                num_classes=num_classes,
            ),
        )
    ).double()


def begin(model, epoch=0, max_epochs=100):
    model.head.start_training(TrainingFacts(50, max_epochs))
    model.head.start_epoch(epoch)
    return model.train()


def samples(labels):
    return [DataSample().set_gt_label(int(y)) for y in labels]


# -- published values --------------------------------------------------------
@pytest.mark.parametrize('name', ['dmue_step_a', 'dmue_step_b'])
@pytest.mark.parametrize('preset', ['default', 'official'])
def test_step_of_the_published_code(name, preset):
    entry = golden(name)
    given, want, options = entry['inputs'], entry['outputs'], entry['options']
    epoch, ramp = options['epoch'], options['ramp_a']
    model = tiny(
        ramp_epochs=ramp,
        dropout=options['dropout'],
        soft_weight=options['w'],
        similarity_weight=options['gamma'],
        temperature=options['T'],
        preset=preset,
    )
    head = model.head
    begin(model, epoch)
    weights = given['branch_weight'][..., None, None]
    with torch.no_grad():
        for branch, weight in zip(model.auxiliary, weights):
            branch.stage.weight.copy_(weight)
        model.backbone.layer4.weight.copy_(weights[-1])
        for fc, weight in zip(head.fc_auxiliary, given['classifier_weight_aux']):
            fc.weight.copy_(weight)
        head.fc.weight.copy_(given['classifier_weight_target'])
        head.bnneck.weight.copy_(given['bn_weight'])
        for layer in ('project_1', 'project_2'):
            for part in ('weight', 'bias'):
                tensor = getattr(getattr(head.certainty, layer), part)
                tensor.copy_(given[f'{layer}_{part}'])
        head.certainty.prelu.weight.copy_(given['prelu'])
    features = given['features'].requires_grad_()
    got = model.loss(features, samples(given['target']))
    up, down = want['ramp_up'], want['ramp_down']
    assert_golden(got['loss_cls'], up * want['ce'])
    assert_golden(got['loss_soft'], up * options['w'] * want['soft'])
    assert_golden(got['loss_similarity'], up * options['gamma'] * want['sp'])
    assert_golden(got['loss_auxiliary'], down * want['aux'])
    loss = sum(got.values())
    assert_golden(loss, want['loss'])
    tensors = dict(
        grad_features=features,
        grad_classifier_target=head.fc.weight,
        grad_classifier_aux_0=head.fc_auxiliary[0].weight,
    )
    if preset == 'default':
        tensors['grad_project_1_weight'] = head.certainty.project_1.weight
        tensors['grad_project_2_weight'] = head.certainty.project_2.weight
    else:
        assert not head.bnneck.weight.requires_grad
    grads = torch.autograd.grad(loss, list(tensors.values()))
    for key, grad in zip(tensors, grads, strict=True):
        assert_golden(grad, want[key])
    assert_golden(head.bnneck.running_mean, want['bn_running_mean'])


def test_soft_label_loss_of_the_published_code():
    entry = golden('dmue_soft_loss')
    given, want = entry['inputs'], entry['outputs']
    logits = given['logits'].requires_grad_()
    # Classes with one sample count there: give each sample twice.
    twice = [torch.cat([x, x]) for x in (logits, given['target'], given['soft_label'])]
    loss = losses.soft_label_loss(*twice)
    assert_golden(loss, want['loss'])
    assert_golden(torch.autograd.grad(loss, logits)[0], want['grad'])


def test_ramps_of_the_published_code():
    entry = golden('dmue_ramps')
    for name, ramp in (('up', losses.ramp_up), ('down', losses.ramp_down)):
        for epoch, want in zip(entry['inputs']['epochs'], entry['outputs'][name]):
            got = ramp(int(epoch), entry['options']['ramp_a'])
            assert got == pytest.approx(float(want), rel=1e-9)


# -- loops -------------------------------------------------------------------
C, D = 4, 5
# Class 2 has one sample, class 3 none: both have no soft labels.
LABELS = [0, 1, 1, 0, 2, 0]


def loop_losses(pooled, features, logits, others, head, labels):
    """All terms, one number at a time, in the order of ``DMUEHead.loss``."""
    count, used = len(labels), [y for y in range(C) if labels.count(y) > 1]
    unit = [x / x.norm() for x in pooled]
    total = 0.0
    for i in range(count):
        means = {}
        for c in set(labels):
            same = [unit[i] @ unit[j] for j in range(count) if labels[j] == c]
            means[c] = sum(same) / len(same)
        low, high = min(means.values()), max(means.values())
        scaled = [
            (means[c] - low) / (high - low) if c in means else low * 0 for c in range(C)
        ]
        given = [float(c == labels[i]) for c in range(C)]
        inputs = torch.stack([*scaled, *map(torch.tensor, given)]).double()
        certainty = head.certainty
        hidden = certainty.project_1.weight @ inputs + certainty.project_1.bias
        hidden = torch.where(hidden > 0, hidden, certainty.prelu.weight * hidden)
        s = certainty.project_2.weight[0] @ hidden + certainty.project_2.bias[0]
        z = logits[i] / (1 + (-s).exp())
        total += z.exp().sum().log() - z[labels[i]]
    cls = total / count
    soft, number = 0.0, 0
    for i, y in enumerate(labels):
        if y not in used:
            continue
        scores = others[y][i].detach() / head.temperature
        scores = list(scores.exp() / scores.exp().sum())
        targets = [*scores[:y], 0.0, *scores[y:]]
        p = logits[i].exp() / logits[i].exp().sum()
        soft += sum((p[k] - targets[k]) ** 2 for k in range(C) if k != y)
        number += C
    similar, auxiliary = 0.0, 0.0
    for c in range(C):
        rows = [i for i in range(count) if labels[i] != c]
        grams = []
        for source in (features, others[c]):
            gram = [[source[i] @ source[j] for j in rows] for i in rows]
            grams.append([torch.stack(g) / torch.stack(g).norm() for g in gram])
        squares = [(a - b).square().sum() for a, b in zip(*grams)]
        similar += sum(squares) / len(rows) ** 2 / C
        branch = 0.0
        for i in rows:
            label = labels[i] - (labels[i] > c)
            branch += others[c][i].exp().sum().log() - others[c][i][label]
        auxiliary += branch / len(rows) / C
    return cls, soft / max(number, 1), similar, auxiliary


def draws(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


def test_all_terms_and_their_gradients():
    head = begin(tiny(num_classes=C, soft_weight=2, ramp_epochs=1), epoch=1).head
    inputs = [
        draws(len(LABELS), D, seed=1),
        draws(len(LABELS), D, seed=2),
        draws(len(LABELS), C, seed=3),
        draws(C, len(LABELS), C - 1, seed=4),
    ]
    got = head.global_loss(*inputs, torch.tensor(LABELS))
    want = loop_losses(*inputs, head, LABELS)
    for value, term, weight in zip(got.values(), want, (1, 2, 1000, 1), strict=True):
        torch.testing.assert_close(value, weight * term)
        grads = [
            torch.autograd.grad(x, inputs, retain_graph=True, allow_unused=True)
            for x in (value, weight * term)
        ]
        for one, other in zip(*grads, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other)


@pytest.mark.parametrize('labels', [[0], [1, 1], [0, 3], [2, 2, 2], [0, 1, 2, 3]])
def test_small_batches(labels):
    """Batches of one class, of one sample each, and of one image."""
    model = begin(tiny(channels=3))
    images = torch.randn(len(labels), 3, 2, 2, dtype=torch.float64)
    found = model.loss(images, samples(labels))
    sum(found.values()).backward()
    assert all(map(torch.isfinite, found.values()))
    for parameter in model.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


def test_official_skips_lone_classes():
    model = begin(tiny(channels=3, preset='official'))
    images = torch.randn(8, 3, 2, 2, dtype=torch.float64)
    used = model.loss(images, samples([0, 0, 1, 1, 2, 2, 3, 3]))
    skipped = model.loss(images, samples([0, 0, 0, 1, 2, 2, 3, 3]))
    assert all(used.values()) and not any(skipped.values())


# -- parts -------------------------------------------------------------------
@pytest.mark.parametrize('kind, shape', [('1d', ()), ('2d', (2, 3))])
def test_groups_are_normalised_one_after_another(kind, shape):
    torch.manual_seed(0)
    usual = dict(zip(('1d', '2d'), (nn.BatchNorm1d, nn.BatchNorm2d)))[kind](4).double()
    nn.init.uniform_(usual.weight)
    nn.init.normal_(usual.bias)
    grouped = GroupedBatchNorm.like(usual).double()
    ids = torch.tensor([3, 0, 3, 0, 0, 3, 1, 3, 1])
    x = torch.randn(9, 4, *shape, dtype=torch.float64, requires_grad=True)
    # Group 2 is empty, and 4 as well.
    got = grouped(x, Groups(ids, 5))
    want = torch.zeros_like(x)
    for group in (0, 1, 3):
        want[ids == group] = usual(x[ids == group])
    torch.testing.assert_close(got, want)
    weight = torch.randn_like(want)
    for one, other in zip(
        torch.autograd.grad((got * weight).sum(), [x, *grouped.parameters()]),
        torch.autograd.grad((want * weight).sum(), [x, *usual.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    for name, value in usual.state_dict().items():
        torch.testing.assert_close(grouped.state_dict()[name], value)
    torch.testing.assert_close(grouped.eval()(x), usual.eval()(x))


def classifier(backbone, size=32, **options):
    return MODELS.build(
        dict(
            type='mmfer.DMUEClassifier',
            backbone=backbone,
            neck=dict(type='FeaturePooling'),
            head=dict(type='DMUEHead'),
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=(3, size, size), num_classes=3
            ),
            **options,
        )
    )


@pytest.mark.parametrize(
    'backbone, stage',
    [
        (dict(type='ResNet', depth=18, stem_channels=8, base_channels=8), 'layer4'),
        (dict(type='MobileNetV2', widen_factor=0.25), 'conv2'),
    ],
)
def test_backbones(backbone, stage):
    model = classifier(backbone)
    model.init_weights()
    assert model.last_stage == stage
    own = model.backbone.get_submodule(stage).state_dict()
    for branch in model.auxiliary:
        for name, value in branch.stage.state_dict().items():
            assert torch.equal(value, own[name])
    begin(model)
    images = torch.randn(6, 3, 32, 32)
    sum(model.loss(images, samples([0, 0, 1, 1, 2, 2])).values()).backward()
    # The model can be copied after a step, as averaged weights need it.
    copied = copy.deepcopy(model)
    copied.loss(images, samples([0, 0, 1, 1, 2, 2]))
    assert copied._captured is None and model._captured is None


def test_last_block_alone():
    backbone = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
    model = classifier(backbone, last_stage='layer4.1')
    assert model.last_stage == 'layer4.1'
    with pytest.raises(ValueError, match=r"'layer3' is no layer .*'layer4'"):
        classifier(backbone, last_stage='layer3')


def test_bad_input():
    with pytest.raises(ValueError, match='VisionTransformer has no such layer'):
        classifier(
            dict(
                type='VisionTransformer',
                arch=dict(
                    embed_dims=8, num_layers=2, num_heads=2, feedforward_channels=8
                ),
                img_size=32,
                patch_size=16,
            )
        )
    for options, said in (
        (dict(ramp_epochs=0), 'ramp_epochs'),
        (dict(temperature=0), 'temperature'),
        (dict(dropout=1.0), 'dropout'),
        (dict(on_lone_class='drop'), 'on_lone_class'),
        (dict(preset='paper'), 'preset'),
    ):
        with pytest.raises(ValueError, match=said):
            tiny(**options)
    head = tiny(num_classes=3, ramp_epochs=6).head
    with pytest.raises(ValueError, match='ramp_epochs=6, but the run has 6 epochs'):
        head.start_training(TrainingFacts(50, 6))
    with pytest.raises(ValueError, match='counted in iterations'):
        head.start_training(TrainingFacts(50, None))
    head.start_training(TrainingFacts(50, 7))
    with pytest.raises(RuntimeError, match='SampleStateHook'):
        assert head.epoch
    with pytest.raises(ValueError, match="model.type='DMUEClassifier'"):
        head.loss((torch.zeros(2, 4),), samples([0, 1]))


# -- scores ------------------------------------------------------------------
def test_scores_of_the_training_set():
    head = tiny(num_classes=C).head.eval()
    pooled = draws(9, 4).detach()
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0])
    found = head.predict_batch((pooled,))
    unit = F.normalize(pooled, dim=1)
    assert torch.equal(found['unit_feature'], unit)
    table = head.score_labels(found, labels)
    assert list(table) == ['similarity', 'clean_probability', 'noise_score']
    similar = torch.stack(
        [(unit @ unit[labels == c].t()).mean(1) for c in range(C)], dim=1
    )
    low, high = similar.amin(1, keepdim=True), similar.amax(1, keepdim=True)
    similar = (similar - low) / (high - low)
    inputs = torch.cat([similar, F.one_hot(labels, C)], dim=1)
    net = head.certainty
    want = net.project_2(net.prelu(net.project_1(inputs))).sigmoid()[:, 0]
    torch.testing.assert_close(table['clean_probability'], want.detach())
    torch.testing.assert_close(table['noise_score'], 1 - want.detach())
    own = similar[torch.arange(9), labels]
    torch.testing.assert_close(table['similarity'], own)
    head.noise_score = 'similarity'
    torch.testing.assert_close(head.score_labels(found, labels)['noise_score'], 1 - own)


def test_an_untrained_certainty_is_no_score():
    head = tiny(num_classes=C, preset='official').head.eval()
    found = head.predict_batch((draws(3, 4).detach(),))
    table = head.score_labels(found, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(table['noise_score'], 1 - table['similarity'])
    with pytest.raises(ValueError, match='train_certainty'):
        tiny(preset='official', noise_score='certainty')


def test_schedule_of_the_published_code():
    cfg = Config.fromfile(f'{CONFIGS}/dmue/dmue_r18_affectnet8.py')
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.Adam(
        [
            dict(params=[weights[0]]),
            dict(params=[weights[1]], lr=1e-3, schedule='head'),
        ],
        lr=cfg.optim_wrapper.optimizer.lr,
    )
    scheduler = PARAM_SCHEDULERS.build(dict(cfg.param_scheduler, optimizer=optimizer))
    rates = []
    for _ in range(cfg.train_cfg.max_epochs):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    for epoch, want in (
        (0, [1e-4, 1e-3]),
        (4, [1e-4, 5e-4]),
        (6, [5e-5, 5e-4]),
        (8, [5e-5, 1e-4]),
        (12, [1e-5, 1e-4]),
        (14, [1e-5, 1e-5]),
        (22, [5e-5, 5e-5]),
        (24, [5e-5, 5e-5]),
        (25, [1e-5, 1e-5]),
        (35, [1e-5, 1e-5]),
    ):
        assert rates[epoch] == pytest.approx(want), epoch
    with pytest.raises(ValueError, match="'default'"):
        GroupStepLR(optimizer, dict(head=[(0, 1.0)]))
    with pytest.raises(ValueError, match='ascending from 0'):
        GroupStepLR(optimizer, dict(default=[(1, 1.0)]))
    for table in ([1.0], [(0, 1.0, 2)], 3):
        with pytest.raises(ValueError, match=r'must be a list of pairs \(epoch, fac'):
            GroupStepLR(optimizer, dict(default=table))
