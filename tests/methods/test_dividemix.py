"""DivideMix against published values, loops, and in a short run."""

import copy
import math

import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import TINY_CLASSIFIER, begin_training, tiny_config, train
from mmengine.logging import MMLogger
from torch import nn

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.dividemix import dividemix, equations
from mmfer.models.mixup import mix_rows, mixing_share
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
    logits = net(mix_rows(images, images[partners], share))
    mixed = mix_rows(targets, targets[partners], share)
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
    monkeypatch.setattr(dividemix, 'mixing_share', lambda *_: share)
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


# -- loops --------------------------------------------------------------
def softmax(row):
    exps = [math.exp(v) for v in row.tolist()]
    return [e / sum(exps) for e in exps]


def sharpened(row, temperature):
    powers = [p ** (1 / temperature) for p in row]
    return [p / sum(powers) for p in powers]


def step_by_loops(nets, views, labels, clean, partners, share, options):
    """Loss of the first network, as a tensor with gradients.

    Args:
        nets: Two linear networks.
        views: (B, 2, D).
        labels: B numbers.
        clean: Clean probability by the second network, B numbers.
        partners: Row of each row's partner, 2 B numbers.
        share: Of a row in its mixture.
        options: Of the model.
    """
    classes = nets[0].weight.shape[0]
    targets, labelled = [], []
    for b, label in enumerate(labels):
        guesses = [[softmax(net(view)) for view in views[b]] for net in nets]
        if clean[b] > options['threshold']:
            target = [
                clean[b] * (c == label)
                + (1 - clean[b]) * (guesses[0][0][c] + guesses[0][1][c]) / 2
                for c in range(classes)
            ]
        else:
            target = [
                sum(p[c] for net in guesses for p in net) / 4 for c in range(classes)
            ]
        labelled.append(clean[b] > options['threshold'])
        targets.append(sharpened(target, options['temperature']))
    first, second, probabilities = [], [], []
    for row in range(2 * len(labels)):
        b, other = row // 2, partners[row] // 2
        image = share * views[b][row % 2]
        image = image + (1 - share) * views[other][partners[row] % 2]
        p = nets[0](image).exp() / nets[0](image).exp().sum()
        q = [share * s + (1 - share) * t for s, t in zip(targets[b], targets[other])]
        if labelled[b]:
            first.append(sum(-q[c] * p[c].log() for c in range(classes)))
        else:
            squares = sum((p[c] - q[c]) ** 2 for c in range(classes))
            mean = options['unlabelled_classes'] == 'mean'
            second.append(squares / classes if mean else squares)
        if labelled[b] or options['train_rows'] == 'all':
            probabilities.append(p)
    loss = sum(first) / max(len(first), 1)
    loss = loss + options['weight'] * sum(second) / max(len(second), 1)
    for c in range(classes):
        if probabilities:
            mean = sum(p[c] for p in probabilities) / len(probabilities)
            loss = loss + (1 / classes) * ((1 / classes) / mean).log()
    return loss


@pytest.mark.parametrize('preset', ['default', 'official', 'paper'])
@pytest.mark.parametrize('part', ['both', 'labelled', 'unlabelled', 'one'])
def test_step_against_loops(preset, part, monkeypatch):
    """Also for batches of one image, and without labelled or unlabelled images."""
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    model = build(classes=4, preset=preset, threshold=0.4, temperature=0.7)
    generator = torch.Generator().manual_seed(len(part))
    size = 1 if part == 'one' else 6

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    model.network1, model.network2 = linear(draw(4, 3)), linear(draw(4, 3))
    views, labels = draw(size, 2, 3), torch.arange(size) % 4
    clean = torch.rand(size, generator=generator)
    if part in ('labelled', 'unlabelled'):
        clean = 0.4 * clean + (0.5 if part == 'labelled' else 0)
    model.table('clean_probability')[:size, 1] = clean
    partners = torch.randperm(2 * size, generator=generator)
    monkeypatch.setattr(dividemix, 'mixing_share', lambda *_: 0.8)
    monkeypatch.setattr(dividemix, 'step_permutation', lambda *_: partners)
    model.start_epoch(1)
    # Half of the ramp of 16 epochs, after one of warm-up.
    model.progress = 9.0
    inputs, samples = batch_of(views[:, 0], labels, second_view=views[:, 1])
    losses = model(inputs, samples, mode='loss')
    got = sum(x for key, x in losses.items() if 'loss' in key and key[-1] == '1')
    options = dict(
        threshold=0.4,
        temperature=0.7,
        train_rows=model.train_rows,
        unlabelled_classes=model.unlabelled_classes,
        weight=model.unlabelled_weight / 2,
    )
    want = step_by_loops(
        model.networks,
        views,
        labels.tolist(),
        clean.tolist(),
        partners.tolist(),
        0.8,
        options,
    )
    assert got.item() == pytest.approx(torch.as_tensor(want).item(), rel=1e-9)
    (grad,) = torch.autograd.grad(got, model.network1.weight)
    # Without any row to train on, the loops end with a number.
    expected = (
        torch.autograd.grad(want, model.network1.weight)[0]
        if torch.is_tensor(want)
        else torch.zeros_like(grad)
    )
    torch.testing.assert_close(grad, expected, rtol=1e-8, atol=1e-10)


def test_mixing_share_is_that_of_a_beta():
    torch.manual_seed(0)
    draws = torch.tensor([mixing_share(4.0, 'share') for _ in range(2000)])
    assert draws.min() >= 0.5 and draws.max() < 1
    # Mean distance from the middle of Beta(4, 4), by integration.
    grid = torch.linspace(0, 1, 10001, dtype=torch.float64)
    density = grid**3 * (1 - grid) ** 3
    want = 0.5 + (density * (grid - 0.5).abs()).sum() / density.sum()
    assert draws.mean().item() == pytest.approx(want.item(), abs=0.01)


def test_ramp():
    values = [equations.ramp(e, 10, 16) for e in (0, 10, 14, 26, 300)]
    assert values == [0, 0, 0.25, 1, 1]


# -- the division -------------------------------------------------------
def test_division_by_the_other_network():
    """Each network is given w by the other one, by sample id."""
    model = build(num_samples=12)
    losses = torch.linspace(0, 1, 8).expand(2, -1).clone()
    losses[0, :4] += 3
    losses[1, 4:] += 3
    ids = torch.tensor([9, 1, 2, 3, 4, 5, 6, 0])
    assert model.fit_noise_models(-losses, ids) == [True, True]
    table = model.table('clean_probability')
    assert (table[ids[:4], 0] < 0.01).all() and (table[ids[4:], 0] > 0.9).all()
    assert (table[ids[:4], 1] > 0.9).all() and (table[ids[4:], 1] < 0.01).all()
    # Samples that are not in use stay labelled.
    assert (table[[7, 8, 10, 11]] == 1).all()
    seen = []
    model.targets = lambda views, labels, clean: seen.append(clean) or 1 / 0
    model.start_epoch(1)
    inputs, samples = batch_of(torch.zeros(3, 1, 16, 16), torch.tensor([0, 1, 2]))
    with pytest.raises(ZeroDivisionError):
        model(inputs, samples, mode='loss')
    assert torch.equal(seen[0], table[:3].flip(1))


def test_mean_of_the_last_losses():
    model = build(num_samples=3, average_epochs=2)
    ids = torch.arange(3)
    rounds = [torch.tensor([[0.0, 1, 4], [1, 2, 3]]) * k for k in (1.0, 2.0)]
    rounds.append(torch.tensor([[4.0, 0, 2], [3, 1, 2]]))
    scaled = [
        (x - x.amin(1, True)) / (x.amax(1, True) - x.amin(1, True)) for x in rounds
    ]
    found = [model._mean_losses(x, ids) for x in rounds]
    assert torch.allclose(found[0], scaled[0])
    assert torch.allclose(found[2], (scaled[1] + scaled[2]) / 2)
    assert 'losses' in model.sample_state()
    # All losses of one network are equal.
    model.fit_noise_models(-torch.ones(2, 3), ids)
    assert model.table('clean_probability').isfinite().all()


def test_noise_score():
    model = build(num_samples=4)
    model.table('clean_probability')[:] = torch.tensor(
        [[0.2, 0.4], [1, 0], [0, 0], [0, 0]]
    )
    scores = torch.full((3, 2, 5), 0.2)
    scores[2, :, 0] = 0.1
    predictions = dict(network_scores=scores, sample_id=torch.tensor([0, 2, 3]))
    found = model.score_labels(predictions, torch.tensor([1, 0, 0]))
    assert found['clean_probability'].tolist() == pytest.approx([0.3, 0, 0])
    assert found['noise_score'].tolist() == pytest.approx(
        [0.999 * 0.7 + 0.0008, 0.999 + 0.0008, 0.999 + 0.0009]
    )


# -- the model ----------------------------------------------------------
def small_batch(size=6):
    generator = torch.Generator().manual_seed(size)
    images = torch.randn(size, 1, 16, 16, generator=generator)
    return batch_of(images, torch.arange(size) % 5)


def test_warmup_has_the_confidence_penalty():
    inputs, samples = small_batch()
    model = build(preset='default', penalty_weight=0.5).eval()
    model.start_epoch(0)
    losses = model(inputs, samples, mode='loss')
    for k, logits in enumerate(model(inputs)):
        p = logits.softmax(1)
        want = nn.functional.cross_entropy(logits, samples.gt_label)
        assert losses[f'loss_network{k + 1}'].item() == pytest.approx(want.item())
        want = 0.5 * (p * p.log()).sum(1).mean()
        assert losses[f'loss_penalty{k + 1}'].item() == pytest.approx(want.item())
    model = build(preset='official')
    model.start_epoch(0)
    assert set(model(inputs, samples, mode='loss')) == {
        'loss_network1',
        'loss_network2',
    }


@pytest.mark.parametrize('clean', [0.0, 1.0])
def test_autocast_keeps_the_gradients(clean):
    """Targets are predicted without gradients in the same autocast block."""
    model = build()
    model.table('clean_probability')[:] = clean
    model.start_epoch(1)
    # The ramp begins at 0.
    model.progress = 17.0
    inputs, samples = small_batch()
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(inputs, samples, mode='loss')
    assert all(x.isfinite() for x in losses.values())
    sum(x for key, x in losses.items() if 'loss' in key).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize('preset', ['default', 'official'])
@pytest.mark.parametrize('size', [1, 2])
def test_small_batches(preset, size):
    model = build(preset=preset)
    begin_training(model, 5)
    inputs, samples = small_batch(size)
    losses = model(inputs, samples, mode='loss')
    assert all(x.isfinite() for x in losses.values())


def test_without_a_second_view_images_are_mirrored():
    inputs, samples = small_batch()
    assert torch.equal(dividemix.other_view(inputs, samples), inputs.flip(3))
    samples = samples.replace(second_view=inputs + 1)
    assert torch.equal(dividemix.other_view(inputs, samples), inputs + 1)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(preset='best'), "preset must be 'default', 'official' or 'paper'"),
        (dict(mix_alpha=0), 'mix_alpha must be a number above 0'),
        (dict(unlabelled_weight=-1), 'unlabelled_weight must be'),
        (dict(unlabelled_classes='max'), 'unlabelled_classes must be'),
        (dict(penalty_weight=-1), 'penalty_weight must be'),
        (dict(train_rows='some'), 'train_rows must be'),
        (dict(threshold=1), r'threshold must lie in \[0, 1\)'),
        (dict(temperature=0), 'temperature must be'),
        (dict(ramp_epochs=0), 'ramp_epochs must be'),
        (dict(average_epochs=0), 'average_epochs must be'),
        (dict(score_source='epoch'), "score_source must be 'pass'"),
        (
            dict(preset='default', unlabelled_weight=1.0),
            "no effect with train_rows='labelled'",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_warmup_must_end():
    model = build(warmup_epochs=3)
    model.check_schedule(4)
    with pytest.raises(ValueError, match='warmup_epochs=3 covers all 3 epochs'):
        model.start_training(TrainingFacts(8, 3))


def test_a_ramp_longer_than_the_run(monkeypatch):
    lines = []

    class Logger:
        warning = staticmethod(lines.append)

    model = build(ramp_epochs=4)
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: Logger)
    model.start_training(TrainingFacts(8, 5))
    assert not lines
    model.start_training(TrainingFacts(8, 4))
    assert len(lines) == 1 and 'rises until epoch 5' in lines[0]


def test_without_the_noise_model_hook():
    """All samples would stay labelled, without a word."""
    model = build(warmup_epochs=2)
    model.start_epoch(0)
    model.start_epoch(1)
    with pytest.raises(RuntimeError, match='epoch 2 has ended.*NoiseModelHook'):
        model.start_epoch(2)
    model.start_epoch(1)
    model.fit_noise_models(-torch.rand(2, 8), torch.arange(8))
    model.start_epoch(2)
    # Two hooks tell of each epoch.
    model.start_epoch(2)


def test_samples_need_ids():
    model = build()
    model.start_epoch(1)
    inputs, samples = small_batch()
    with pytest.raises(ValueError, match='DivideMix needs the sample_id'):
        model(inputs, SampleBatch(dict(gt_label=samples.gt_label)), mode='loss')


def test_trains(tmp_path):
    """The views of a run differ, and its table has the clean probability."""
    cfg = tiny_config(
        tmp_path,
        'dividemix/dividemix_r18_synthfaces_noise30',
        train_cfg__max_epochs=2,
        model__warmup_epochs=1,
    )
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='fer_collate')
    cfg.test_dataloader = cfg.val_dataloader
    shares = []
    other_view = dividemix.other_view

    def spy(inputs, samples):
        view = other_view(inputs, samples)
        same = (view == inputs).flatten(1).all(1)
        mirrored = (view == inputs.flip(3)).flatten(1).all(1)
        assert (same | mirrored).all()
        shares.append(same.float().mean())
        return view

    views = []

    def loss(self, inputs, data_samples, whole=dividemix.DivideMix.loss):
        views.append((self.warming_up, 'second_view' in data_samples))
        return whole(self, inputs, data_samples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dividemix, 'other_view', spy)
        patch.setattr(dividemix.DivideMix, 'loss', loss)
        runner = train(cfg)
    # The warm-up does not pay for views that it does not use.
    assert set(views) == {(True, False), (False, True)}
    # Flips are drawn twice, so half of the views are equal.
    assert 0.3 < torch.stack(shares).mean() < 0.7
    assert runner.model.progress == pytest.approx(1 + 2 / 3)
    assert not (runner.model.table('clean_probability') == 1).all()
    text = (tmp_path / 'sample_scores.csv').read_text()
    assert 'clean_probability,noise_score' in text.splitlines()[0]
