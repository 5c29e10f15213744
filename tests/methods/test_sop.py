"""SOP against loops, autograd and the published code; its noise score."""

import json
import math
from unittest import mock

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import tiny_config, train
from mmpretrain.structures import DataSample

from mmfer.datasets.batches import SampleBatch
from mmfer.engine.scoring import predict_training_set
from mmfer.methods.sop import SOPClassifier
from mmfer.methods.sop.losses import sample_gradients, sop_loss
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

C = 5


def build(num_samples=9, seed=0, **options):
    """Head whose features are its logits."""
    head = MODELS.build(dict(type='SOPHead', num_classes=C, in_channels=C, **options))
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(C))
        head.fc.bias.zero_()
    head.start_training(TrainingFacts(num_samples, 1, seed))
    return head.double()


def batch(labels, ids):
    return SampleBatch(dict(gt_label=labels), {}, dict(sample_id=ids))


@pytest.mark.parametrize('name', ['plain', 'plus', 'cifar10'])
def test_equals_the_published_code(name):
    """Two batches with loss, gradients, and u and v after their steps."""
    data = golden(f'sop_{name}')
    names = 'lr_u', 'lr_v', 'ratio_balance', 'ratio_consistency'
    head = build(**{key: data['options'][key] for key in names})
    given = data['inputs']
    head.load_sample_state(dict(u=given['u'][:, 0], v=given['v']))
    for step, want in zip(given['steps'], data['outputs']['steps'], strict=True):
        before = {key: head.table(key).clone() for key in 'uv'}
        logits = step['logits'].requires_grad_()
        loss = head.loss((logits,), batch(step['target'], step['index']))['loss']
        assert_golden(loss, want['loss'])
        assert_golden(torch.autograd.grad(loss, logits)[0], want['grad_logits'])
        want = dict(want, u=want['u'][:, 0], grad_u=want['grad_u'][:, 0])
        for key, rate in (('u', head.lr_u), ('v', head.lr_v)):
            assert_golden(head.table(key), want[key])
            step_taken = (before[key] - head.table(key)) / rate
            assert_golden(step_taken, want[f'grad_{key}'])


# -- reference: one number at a time -------------------------------------------
def loop_loss(logits, labels, u, v, balance):
    one, floor = torch.ones((), dtype=torch.float64), 1e-4
    total, size = 0.0, len(labels)
    columns = [0.0] * C
    for i, label in enumerate(labels):
        exps = [value.exp() for value in logits[i]]
        raw = []
        for c in range(C):
            raw.append(exps[c] / sum(exps))
            if c == label:
                raw[c] = raw[c] + torch.minimum(u[i] ** 2, one)
            else:
                # The noise of other classes has no gradient here.
                raw[c] = raw[c] - min(v[i, c].item() ** 2, 1)
            raw[c] = torch.maximum(raw[c], floor * one)
        q = [torch.maximum(r / sum(raw), floor * one) for r in raw]
        total = total - q[label].log() / size
        best = max(range(C), key=lambda c: logits[i, c].item())
        for c in range(C):
            noise = u[i] ** 2 if c == label else -(v[i, c] ** 2)
            noise = noise.clamp(-1, 1)
            total = total + (int(c == best) + noise - int(c == label)) ** 2 / size
            columns[c] = columns[c] + q[c] / size
    means = [torch.maximum(value, floor * one) for value in columns]
    return total - balance * sum(m.log() for m in means) / C


@pytest.mark.parametrize('balance', [0.0, 0.4])
@pytest.mark.parametrize('size', [1, 2, 8])
def test_loss_and_gradients(size, balance):
    """Also of entries above 1, below the floor, and of sure predictions."""
    torch.manual_seed(size)
    logits = 3 * torch.randn(size, C, dtype=torch.float64)
    labels = torch.randint(C, (size,))
    u, v = torch.randn(size).double(), torch.randn(size, C).double()
    if size > 2:
        logits[0] = torch.tensor([30.0, 0, 0, 0, 0])
        labels[:2] = torch.tensor([1, 0])
        u[0], u[2], u[3] = 1e-8, 1.3, 0
        v[4] = 1.5
        logits[5], labels[5] = torch.tensor([0, 30.0, 0, 0, 0]), 1
    inputs = [x.requires_grad_() for x in (logits, u, v)]
    got = sop_loss(logits, labels, u, v, balance)
    want = loop_loss(logits, labels.tolist(), u, v, balance)
    torch.testing.assert_close(got, want)
    grads = torch.autograd.grad(got, inputs)
    for a, b in zip(grads, torch.autograd.grad(want, inputs), strict=True):
        torch.testing.assert_close(a, b)
    written = sample_gradients(logits, labels, u, v, balance)
    for a, b in zip(written, grads[1:], strict=True):
        assert not a.requires_grad
        torch.testing.assert_close(a, b)


def test_consistency():
    """KL(p | p') has a gradient for the second view only."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, C, dtype=torch.float64)
    labels, zeros = torch.tensor([0, 1, 2]), torch.zeros(3, C).double()
    first.requires_grad_()
    second.requires_grad_()
    terms = [
        sop_loss(first, labels, zeros[:, 0], zeros, 0, ratio, second)
        for ratio in (0.0, 0.5)
    ]
    p, other = first.softmax(1), second.softmax(1)
    want = sum(
        p[i, c] * (p[i, c] / other[i, c]).log() for i in range(3) for c in range(C)
    )
    torch.testing.assert_close(terms[1] - terms[0], 0.5 * want / 3)
    grads = torch.autograd.grad(terms[1] - terms[0], (first, second))
    torch.testing.assert_close(grads[0], zeros)
    torch.testing.assert_close(grads[1], 0.5 * (other - p) / 3)


def test_the_step_of_a_global_batch():
    """Of two processes, each divides by the images of both."""
    torch.manual_seed(0)
    logits, labels = torch.randn(4, C).double(), torch.tensor([0, 1, 2, 3])
    whole = build(std=0.1, ratio_balance=0.4)
    whole.loss((logits,), batch(labels, torch.arange(4)))
    half = build(std=0.1, ratio_balance=0.4)
    mine = torch.tensor([0, 2])
    tables = {key: half.table(key).clone().double() for key in 'uv'}
    ids = torch.arange(4)
    everybody = iter([logits, tables['u'][:4], tables['v'][:4], labels, ids])
    with mock.patch.multiple(
        'mmfer.methods.sop.sop_head',
        gather_batch=lambda x: next(everybody),
        interleave=lambda x: next(everybody),
        own_images=lambda x: x[::2],
        get_world_size=lambda: 2,
    ):
        half.loss((logits[mine],), batch(labels[mine], mine))
    for key in 'uv':
        torch.testing.assert_close(half.table(key)[mine], whole.table(key)[mine])


def test_a_sample_that_the_batch_has_twice():
    """As after a balanced sampler: it takes the steps of both of its images."""
    torch.manual_seed(0)
    logits, labels = torch.randn(3, C).double(), torch.tensor([0, 1, 0])
    ids = torch.tensor([4, 2, 4])
    head = build(std=0.1, ratio_balance=0.4)
    u, v = (head.table(key).double().detach().clone().requires_grad_() for key in 'uv')
    sop_loss(logits, labels, u[ids], v[ids], 0.4).backward()
    head.loss((logits,), batch(labels, ids))
    torch.testing.assert_close(head.table('u'), (u - 10 * u.grad).detach())
    torch.testing.assert_close(head.table('v'), (v - 10 * v.grad).detach())


def test_a_damaged_image_harms_no_other_sample():
    logits = torch.randn(3, C).double()
    logits[1, 0] = torch.nan
    head = build(std=0.1)
    head.loss((logits,), batch(torch.tensor([0, 1, 0]), torch.tensor([4, 2, 4])))
    for key in 'uv':
        found = head.table(key).reshape(9, -1).isfinite().all(dim=1)
        assert found[[0, 1, *range(3, 9)]].all()


def test_start():
    """Draws depend on the seed of the run, and are not 0."""
    first, same, other = (build(500, seed) for seed in (1, 1, 2))
    for key in 'uv':
        table = first.table(key)
        assert torch.equal(table, same.table(key))
        assert not torch.equal(table, other.table(key))
        assert table.ne(0).all()
        assert table.std().item() == pytest.approx(1e-8, rel=0.1)


def test_a_start_at_zero_learns_nothing():
    zeros = torch.zeros(3, C)
    labels = torch.tensor([0, 1, 2])
    for grad in sample_gradients(torch.randn(3, C), labels, zeros[:, 0], zeros):
        assert grad.eq(0).all()


def test_float32_within_autocast():
    features, labels = torch.randn(4, C), torch.tensor([0, 1, 2, 3])
    samples = batch(labels, torch.arange(4))
    heads = build().float(), build().float()
    want = heads[0].loss((features,), samples)['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = heads[1].loss((features,), samples)['loss']
    assert torch.equal(got, want)
    assert torch.equal(heads[0].table('v'), heads[1].table('v'))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(lr_u=-1), 'SOPHead: lr_u must be a number of at least 0, got -1'),
        (dict(lr_v=math.inf), 'SOPHead: lr_v must be'),
        (dict(std=0), r'SOPHead: std must lie in \(0, 1\], got 0. At 0 the gradients'),
        (dict(ratio_balance=-0.1), 'SOPHead: ratio_balance must be'),
        (dict(ratio_consistency=-0.1), 'SOPHead: ratio_consistency must be'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_bad_batches():
    with pytest.raises(ValueError, match='SOPHead needs the sample_id'):
        build().loss((torch.zeros(1, C).double(),), [DataSample().set_gt_label(0)])
    samples = batch(torch.tensor([0, 1]), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="needs 4 features, got 2. .*'SOPClassifier'"):
        build(ratio_consistency=0.9).loss((torch.zeros(2, C).double(),), samples)
    with pytest.raises(ValueError, match='2 labels needs 2 features, got 4'):
        build().loss((torch.zeros(4, C).double(),), samples)


def test_noise_score():
    head = build(4)
    head.table('u')[:] = torch.tensor([0.1, 0.9, 2.0, 1e-8])
    head.table('v')[1, 3], head.table('v')[2, 0] = -0.8, 5.0
    head.table('v')[2, 1], head.table('v')[2, 3] = 1.5, -2.0
    found = head.score_labels(
        dict(sample_id=torch.tensor([0, 1, 2, 3])), torch.tensor([0, 1, 0, 4])
    )
    # In the third, the largest v is that of the given label, which does not count.
    torch.testing.assert_close(found['noise_score'], torch.tensor([0.01, 0.81, 1, 0]))
    assert found['suggested_label'].tolist() == [0, 3, 3, 4]


def test_u_finds_a_wrong_label():
    """Images of one kind, one of them with another label; the network is fixed."""
    head = build(8)
    logits = torch.zeros(8, C).double()
    logits[:, 2] = 5
    labels = torch.tensor([2] * 7 + [4])
    for _ in range(20):
        head.loss((logits,), batch(labels, torch.arange(8)))
    found = head.score_labels(dict(sample_id=torch.arange(8)), labels)
    assert found['noise_score'].argmax() == 7 and found['noise_score'][7] > 0.5
    assert found['noise_score'][:7].max() < 0.1
    assert found['suggested_label'].tolist() == [2] * 8


def test_trains(tmp_path):
    cfg = tiny_config(tmp_path, 'sop/sop_r18_synthfaces_noise30')
    runner = train(cfg)
    assert runner.model.head.table('u').abs().max() > 1e-7
    lines = (tmp_path / 'sample_scores.csv').read_text().splitlines()
    assert len(lines) == 97
    # Beside the own score, the summary has the common one.
    summary = json.loads((tmp_path / 'summary.json').read_text())
    dataset = runner.train_dataloader.dataset
    scores = predict_training_set(runner)['pred_score']
    doubt = 1 - scores[range(96), dataset.given_labels]
    wrong = dataset.given_labels != dataset.clean_labels
    pairs = [(a > b) + (a == b) / 2 for a in doubt[wrong] for b in doubt[~wrong]]
    assert summary['probability_auroc'] == pytest.approx(sum(pairs) / len(pairs))
    assert summary['probability_auroc'] != summary['noise_auroc']


# -- SOP+ ------------------------------------------------------------------------
def pipeline_of(size, *strong):
    """Pipeline of ``tiny_config`` with a second view of a size."""
    crop = dict(type='CenterCrop', crop_size=size)
    return [
        dict(type='LoadFERImage', color_type='grayscale'),
        dict(type='SecondView', transforms=[crop, *strong]),
        dict(type='CenterCrop', crop_size=32),
        dict(type='PackFERInputs', algorithm_keys=('second_view',)),
    ]


def test_both_views_are_one_batch(tmp_path):
    """The views of the device differ by their flips; the loss is that of SOPHead."""
    cfg = tiny_config(tmp_path, 'sop/sop_r18_synthfaces_noise30_plus')
    steps = cfg.train_dataloader.dataset.pipeline
    steps[:] = [step for step in steps if step.type != 'SecondView']
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='fer_collate')
    cfg.test_dataloader = cfg.val_dataloader
    seen = []
    extract = SOPClassifier.extract_feat

    def spy(self, inputs, *args):
        if self.training:
            seen.append(inputs.chunk(2))
        return extract(self, inputs, *args)

    with mock.patch.object(SOPClassifier, 'extract_feat', spy):
        runner = train(cfg)
    equal = [(a == b).flatten(1).all(1).float().mean() for a, b in seen]
    assert 0.3 < torch.stack(equal).mean() < 0.7
    assert runner.model.head.table('u').abs().max() > 1e-7


@pytest.mark.parametrize('collate', ['fer', 'default', 'pseudo'])
def test_strong_views_of_a_pipeline(tmp_path, collate):
    """They are normalised as the first ones, and a part of each is cut out."""
    cfg = tiny_config(tmp_path, 'sop/sop_r18_synthfaces_noise30_plus')
    cutout = dict(type='Cutout', shape=8, pad_val=0, prob=1.0)
    cfg.train_dataloader.dataset.pipeline = pipeline_of(32, cutout)
    cfg.train_dataloader.collate_fn = dict(type=f'{collate}_collate')
    changed = []
    loss = SOPClassifier.loss

    def spy(self, inputs, data_samples):
        changed.append((inputs != data_samples.second_view).float().mean())
        return loss(self, inputs, data_samples)

    with mock.patch.object(SOPClassifier, 'loss', spy):
        train(cfg)
    # At the edge, less than 8 x 8 of the 32 x 32 pixels are cut out.
    assert 0.02 < torch.stack(changed).mean() <= 64 / 1024


@pytest.mark.parametrize(
    'second, message',
    [
        (None, r"SecondView.*algorithm_keys=\('second_view',\)"),
        (30, 'their second views .1, 30, 30.'),
    ],
)
def test_views_that_cannot_be_compared(tmp_path, second, message):
    cfg = tiny_config(tmp_path, 'sop/sop_r18_synthfaces_noise30_plus')
    cfg.train_dataloader.collate_fn = dict(type='fer_collate')
    if second is None:
        # A step without a form for batches, and nothing that makes a second view.
        steps = cfg.train_dataloader.dataset.pipeline
        place = [step.type for step in steps].index('SecondView')
        steps[place] = dict(type='LearnedAugment')
    else:
        cfg.train_dataloader.dataset.pipeline = pipeline_of(second)
    with pytest.raises(ValueError, match=message):
        train(cfg)


def test_views_that_nobody_normalised():
    model = MODELS.build(
        dict(
            type='SOPClassifier',
            backbone=dict(type='ResNetSmallStem', depth=18, stem_channels=8),
            neck=dict(type='FeaturePooling'),
            head=dict(type='SOPHead', num_classes=C, ratio_consistency=0.9),
            data_preprocessor=dict(type='FERDataPreprocessor', input_shape=(3, 32, 32)),
        )
    )
    images = torch.zeros(2, 3, 32, 32)
    samples = batch(torch.tensor([0, 1]), torch.arange(2))
    samples = samples.replace(second_view=images.byte())
    with pytest.raises(ValueError, match='second views are not normalised'):
        model.loss(images, samples)


@pytest.mark.parametrize('head', [dict(type='CEHead'), dict(type='SOPHead')])
def test_a_head_without_use_for_two_views(head):
    with pytest.raises(ValueError, match='SOPClassifier .*ratio_consistency=0.9'):
        MODELS.build(
            dict(
                type='SOPClassifier',
                backbone=dict(type='ResNetSmallStem', depth=18, stem_channels=8),
                neck=dict(type='FeaturePooling'),
                head=dict(head, num_classes=C),
            )
        )
