"""DivideMix against published values, loops, and in a short run."""

import copy
import math

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import TINY_CLASSIFIER, begin_training, tiny_config, train
from torch import nn

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.dividemix import dividemix, equations
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

STEPS = pytest.mark.parametrize('name', ['dividemix_step_a', 'dividemix_step_b'])


def build(classes=5, num_samples=8, **options):
    torch.manual_seed(0)
    options = dict(dict(preset='official'), **options)
    model = MODELS.build(
        dict(
            type='DivideMix',
            network1=copy.deepcopy(TINY_CLASSIFIER),
            data_preprocessor=dict(input_shape=(1, 16, 16), num_classes=classes),
            **options,
        )
    )
    model.start_training(TrainingFacts(num_samples, 1000))
    return model


def linear(weight):
    layer = nn.Linear(*weight.t().shape, bias=False, dtype=weight.dtype)
    layer.weight.data.copy_(weight)
    return layer


def batch_of(inputs, labels, **fields):
    meta = dict(sample_id=torch.arange(len(labels)))
    return inputs, SampleBatch(dict(gt_label=labels, **fields), {}, meta)


# -- published values ---------------------------------------------------
@STEPS
def test_published_equations(name):
    """In the order of the published code: x1, x2, u1, u2."""
    entry = golden(name)
    given, want, options = (entry[key] for key in ('inputs', 'outputs', 'options'))
    net, other = linear(given['net_weight']), linear(given['other_weight'])
    with torch.no_grad():
        own, theirs = (
            {k: n(given[k]).softmax(1) for k in ('x1', 'x2', 'u1', 'u2')}
            for n in (net, other)
        )
        mean = {k: (own[f'{k}1'] + own[f'{k}2']) / 2 for k in 'xu'}
        targets_x = equations.refine_labels(
            given['target'], given['clean_probability'], mean['x'], options['T']
        )
        other_mean = (theirs['u1'] + theirs['u2']) / 2
        targets_u = equations.guess_labels(mean['u'], other_mean, options['T'])
    assert_golden(targets_x, want['targets_x'])
    assert_golden(targets_u, want['targets_u'])
    share = max(float(given['beta_draw']), 1 - float(given['beta_draw']))
    assert share == pytest.approx(float(want['mix']), rel=1e-11)
    images = torch.cat([given[k] for k in ('x1', 'x2', 'u1', 'u2')])
    targets = torch.cat([targets_x, targets_x, targets_u, targets_u])
    partners = given['permutation']
    logits = net(equations.mix(images, images[partners], share))
    mixed = equations.mix(targets, targets[partners], share)
    assert_golden(logits, want['logits'])
    assert_golden(mixed, want['mixed_target'])
    labelled = torch.tensor([1.0] * 8 + [0.0] * 8, dtype=torch.float64)
    terms = dict(
        Lx=equations.labelled_loss(logits, mixed, labelled),
        Lu=equations.unlabelled_loss(logits, mixed, labelled),
        penalty=equations.prior_penalty(logits, torch.ones_like(labelled)),
    )
    for key, value in terms.items():
        assert_golden(value, want[key])
    weight = options['lambda_u'] * equations.ramp(
        options['epoch'], options['warm_up'], options['rampup']
    )
    assert weight == pytest.approx(float(want['lambda_u_now']))
    loss = terms['Lx'] + weight * terms['Lu'] + terms['penalty']
    assert_golden(loss, want['loss'])
    loss.backward()
    assert_golden(net.weight.grad, want['grad_net_weight'])


def golden_step(name, monkeypatch, **changes):
    """Model and batch of a published step; its labelled images come first."""
    entry = golden(name)
    given, options = entry['inputs'], entry['options']
    model = build(
        unlabelled_weight=options['lambda_u'],
        mix_alpha=options['alpha'],
        temperature=options['T'],
        warmup_epochs=options['warm_up'],
        ramp_epochs=options['rampup'],
        # There, labelled images may have any probability.
        threshold=0.0,
    )
    model.network1 = linear(given['net_weight'])
    model.network2 = linear(given['other_weight'])
    model.start_epoch(options['epoch'])
    # The other network says what the first one trains on.
    model.table('clean_probability')[:4, 1] = given['clean_probability'].float()
    model.table('clean_probability')[4:, 1] = 0
    model.table('clean_probability')[:, 0] = 0.5

    def place(row):
        """Row of an image's view in a batch, from its row in x1, x2, u1, u2."""
        view, image = row // 4 % 2, row % 4 + row // 8 * 4
        return 2 * image + view

    rows = torch.arange(16)
    partners = torch.empty(16, dtype=torch.int64)
    partners[place(rows)] = place(given['permutation'])
    share = max(float(given['beta_draw']), 1 - float(given['beta_draw']))
    monkeypatch.setattr(dividemix, 'mixing_share', lambda alpha: share)
    monkeypatch.setattr(dividemix, 'step_permutation', lambda *_: partners)
    labels = torch.cat([given['target'], torch.zeros(4, dtype=torch.int64)])
    batch = batch_of(
        torch.cat([given['x1'], given['u1']]),
        labels,
        second_view=torch.cat([given['x2'], given['u2']]),
    )
    return model, batch, entry['outputs']


@STEPS
def test_published_step(name, monkeypatch):
    """The registered class, with linear networks."""
    model, (inputs, samples), want = golden_step(name, monkeypatch)
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    losses = model(inputs, samples, mode='loss')
    assert_golden(losses['loss_labelled1'], want['Lx'])
    assert_golden(losses['loss_unlabelled1'], want['lambda_u_now'] * want['Lu'])
    assert_golden(losses['loss_prior1'], want['penalty'])
    total = sum(x for key, x in losses.items() if 'loss' in key and key[-1] == '1')
    assert_golden(total, want['loss'])
    total.backward()
    assert_golden(model.network1.weight.grad, want['grad_net_weight'])
    assert model.network2.weight.grad is None


def test_published_mixture():
    entry = golden('dividemix_gmm')
    losses, want = entry['inputs']['losses'], entry['outputs']
    model = build(num_samples=len(losses))
    model.fit_noise_models(-losses.expand(2, -1), torch.arange(len(losses)))
    for k in range(2):
        got = model.table('clean_probability')[:, k].double()
        torch.testing.assert_close(got, want['clean_probability'], rtol=0, atol=1e-6)
        mixture = model.noise_models[k].mixture
        order = want['means'].argsort(descending=True)
        torch.testing.assert_close(
            1 - mixture.center, want['means'][order], rtol=1e-5, atol=0
        )
        for name in ('variances', 'weights'):
            got = getattr(mixture, name[:-1])
            torch.testing.assert_close(got, want[name][order], rtol=1e-5, atol=0)


def test_published_confidence_penalty():
    entry = golden('dividemix_confidence_penalty')
    logits = entry['inputs']['logits'].requires_grad_()
    loss = equations.confidence_penalty(logits)
    assert_golden(loss, entry['outputs']['loss'])
    loss.backward()
    assert_golden(logits.grad, entry['outputs']['grad'])
