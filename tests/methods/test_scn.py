"""SCN against loops and the published code; what it keeps for each sample."""

import json
import math
from contextlib import nullcontext
from unittest import mock

import numpy as np
import pytest
import torch
from golden_peers import assert_golden, golden
from helpers import (
    CONFIGS,
    Stop,
    StopAfter,
    StopAt,
    poison_clean_labels,
    results,
    tiny_config,
    train,
)
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmfer.methods.scn.equations import (
    corrected_labels,
    important_images,
    rank_regularization,
)
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS
from mmfer.score_table import read_columns

B, D, C = 9, 4, 3


def build(num_classes=C, in_channels=D, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='SCNHead', num_classes=num_classes, in_channels=in_channels, **options
        )
    ).double()


def begin(head, epoch, count=20):
    head.start_training(TrainingFacts(count, 100))
    head.start_epoch(epoch)


def samples(labels, ids=None):
    ids = range(len(labels)) if ids is None else ids
    return [
        DataSample(metainfo=dict(sample_id=int(i))).set_gt_label(int(y))
        for i, y in zip(ids, labels, strict=True)
    ]


def run(head, features, labels, ids=None):
    """Losses in float64."""
    with mock.patch.object(torch.Tensor, 'float', torch.Tensor.double):
        return head.loss((features,), samples(labels, ids))


@pytest.mark.parametrize('name', 'abcd')
def test_equals_the_published_code(name):
    data = golden(f'scn_step_{name}')
    given, want, options = data['inputs'], data['outputs'], data['options']
    head = build(
        *given['fc_weight'].shape,
        margin=options['margin_1'],
        relabel_threshold=options['margin_2'],
        high_share=options['high_share'],
        # The published code counts epochs from 1.
        relabel_epoch=options['relabel_epoch'] - 1,
        preset='official',
    )
    head.load_state_dict(
        {
            'fc.weight': given['fc_weight'],
            'fc.bias': given['fc_bias'],
            'alpha.weight': given['alpha_weight'],
            'alpha.bias': given['alpha_bias'],
        }
    )
    begin(head, options['epoch'] - 1)
    features = given['features'].requires_grad_()
    losses = run(head, features, given['target'])
    importance, logits = head.weigh(features)
    assert_golden(importance, want['alpha'])
    assert_golden(logits, want['weighted_logits'])
    assert_golden(losses['loss_rank'], want['rank_loss'])
    high = important_images(importance, options['high_share'])
    assert high.nonzero().squeeze(1).tolist() == want['high_index'].tolist()
    assert_golden(importance[high].mean(), want['high_mean'])
    assert_golden(importance[~high].mean(), want['low_mean'])
    loss = losses['loss_cls'] + losses['loss_rank']
    assert_golden(loss, want['loss'])
    grads = torch.autograd.grad(
        loss, (features, head.fc.weight, head.alpha.weight, head.alpha.bias)
    )
    names = ('features', 'fc_weight', 'alpha_weight', 'alpha_bias')
    for grad, part in zip(grads, names, strict=True):
        assert_golden(grad, want[f'grad_{part}'])
    kept = head.table('label')[: len(features)]
    after = torch.where(kept < 0, given['target'], kept)
    assert after.tolist() == want['labels_after'].tolist()


# -- references: one number at a time ----------------------------------------
def loop_terms(head, features, labels):
    """Cross-entropy and rank regularisation, and the group of each image."""
    alpha, cross = [], 0.0
    for i in range(len(labels)):
        score = sum(head.alpha.weight[0, d] * features[i, d] for d in range(D))
        alpha.append(1 / (1 + (-(score + head.alpha.bias[0])).exp()))
        logits = [
            alpha[i]
            * (
                sum(head.fc.weight[c, d] * features[i, d] for d in range(D))
                + head.fc.bias[c]
            )
            for c in range(C)
        ]
        cross += sum(v.exp() for v in logits).log() - logits[labels[i]]
    order = sorted(range(len(labels)), key=lambda i: -alpha[i].item())
    count = int(head.high_share * len(labels))
    high, low = order[:count], order[count:]
    rank = 0 * alpha[0]
    if high and low:
        gap = sum(alpha[i] for i in high) / len(high)
        gap = gap - sum(alpha[i] for i in low) / len(low)
        rank = max(head.margin - gap, 0 * gap)
    return cross / len(labels), head.rank_weight * rank, set(high)


def batch(size=B, seed=1):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(size, D, generator=generator, dtype=torch.float64)
    labels = torch.randint(C, (size,), generator=generator)
    return features.requires_grad_(), labels


@pytest.mark.parametrize(
    'size, options',
    [
        (B, dict()),
        (B, dict(margin=1.0, rank_weight=2.5)),
        (B, dict(high_share=0.3)),
        (B, dict(margin=0.0)),
        (2, dict(margin=0.4)),
        (1, dict()),
    ],
)
def test_loss_and_gradients(size, options):
    head = build(**options)
    begin(head, 0)
    features, labels = batch(size)
    losses = run(head, features, labels)
    assert list(losses) == ['loss_cls', 'loss_rank']
    cross, rank, high = loop_terms(head, features, labels)
    torch.testing.assert_close(losses['loss_cls'], cross)
    assert losses['loss_rank'].item() == pytest.approx(rank.item(), abs=1e-12)
    marked = important_images(head.weigh(features)[0], head.high_share)
    assert set(marked.nonzero().squeeze(1).tolist()) == high
    parts = (features, *head.parameters())
    got = torch.autograd.grad(sum(losses.values()), parts)
    want = torch.autograd.grad(cross + rank, parts)
    for a, b in zip(got, want, strict=True):
        assert a.isfinite().all()
        torch.testing.assert_close(a, b)


def test_equal_weights_are_still_two_groups():
    """In bfloat16 many weights are equal; the groups have the right size."""
    weights = torch.full((10,), 0.5)
    assert important_images(weights, 0.7).tolist() == [True] * 7 + [False] * 3
    weights[8] = 0.6
    assert important_images(weights, 0.3).nonzero().squeeze(1).tolist() == [0, 1, 8]
    assert rank_regularization(weights, weights > 0.55, 0.2).item() == pytest.approx(
        0.1
    )
    # Without a group there is nothing to compare.
    assert rank_regularization(weights, weights > 0, 0.2) == 0


def test_corrected_labels_agree_with_a_loop():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(60, C, generator=generator, dtype=torch.float64)
    labels = torch.randint(C, (60,), generator=generator)
    may_change = torch.rand(60, generator=generator) < 0.5
    want = []
    for row, label, may in zip(
        logits.tolist(), labels.tolist(), may_change.tolist(), strict=True
    ):
        total = sum(math.exp(v) for v in row)
        scores = [math.exp(v) / total for v in row]
        best = max(range(C), key=scores.__getitem__)
        clear = scores[best] - scores[label] > 0.2
        want.append(best if may and clear else label)
    assert corrected_labels(logits, labels, 0.2, may_change).tolist() == want
    assert 10 < sum(a != b for a, b in zip(want, labels.tolist(), strict=True)) < 30
    # The threshold is exclusive: equal probabilities change nothing.
    ties = torch.zeros(1, C)
    assert corrected_labels(ties, torch.tensor([2]), 0.0, ties[:, 0] == 0) == 2


# -- relabelling ---------------------------------------------------------------
IDS = [7, 3, 0, 12, 19, 5, 1, 2, 9]


def test_changed_labels_are_used_in_later_steps():
    head = build(relabel_epoch=2, relabel_threshold=0.0)
    features, labels = batch()
    # Before the first epoch of relabelling nothing is written.
    begin(head, 1)
    run(head, features, labels, IDS)
    assert head.table('label').tolist() == [-1] * 20
    head.start_epoch(2)
    first = run(head, features, labels, IDS)
    predicted = head((features,)).argmax(dim=1)
    kept = head.table('label')
    for place, label, new in zip(IDS, labels, predicted, strict=True):
        assert kept[place] == (-1 if new == label else new)
    assert (kept >= 0).sum() >= 3
    # The step that changes them still has the old ones.
    cross, _, _ = loop_terms(head, features, labels)
    torch.testing.assert_close(first['loss_cls'], cross)
    second = run(head, features, labels, IDS)
    cross, _, _ = loop_terms(head, features, predicted)
    torch.testing.assert_close(second['loss_cls'], cross)
    # A changed label may change again, also back to the given one.
    with torch.no_grad():
        head.fc.weight.neg_()
    run(head, features, labels, IDS)
    predicted = head((features,)).argmax(dim=1)
    used = torch.where(kept < 0, torch.full((20,), -1), kept)[IDS]
    assert torch.equal(torch.where(used < 0, labels, used), predicted)
    assert torch.equal(head.changed_labels(), kept)


def test_the_paper_changes_the_low_group_only():
    heads = [
        build(preset=name, relabel_epoch=1, relabel_threshold=0.0)
        for name in ('default', 'official', 'paper')
    ]
    features, labels = batch()
    changed = []
    for head in heads:
        begin(head, 1)
        run(head, features, labels)
        changed.append(set((head.table('label') >= 0).nonzero().squeeze(1).tolist()))
    high = loop_terms(heads[0], features, labels)[2]
    assert changed[0] == changed[1] and changed[0] & high
    assert changed[2] == changed[0] - high != set()


def test_a_given_option_wins(said):
    assert build(preset='paper', relabel_group='all').relabel_group == 'all'
    assert "relabel_group='all' instead of 'low'" in said[0]
    with pytest.raises(ValueError, match="SCNHead: preset must be 'default'.*'papr'"):
        build(preset='papr')


def test_without_relabelling_there_is_no_state():
    head = build(relabel_epoch=None)
    features, labels = batch()
    with mock.patch.object(torch.Tensor, 'float', torch.Tensor.double):
        # Neither a hook nor sample ids are needed.
        losses = head.loss((features,), [DataSample().set_gt_label(y) for y in labels])
    torch.testing.assert_close(
        losses['loss_cls'], loop_terms(head, features, labels)[0]
    )
    begin(head, 50)
    assert head.sample_state() == {} and head.changed_labels() is None


@pytest.mark.parametrize(
    'epochs, message',
    [
        (9, 'relabel_epoch=9, but the run has 9 epochs, .* relabel_epoch=None'),
        (None, 'the run is counted in iterations. Set train_cfg.by_epoch=True'),
    ],
)
def test_a_run_that_is_too_short(epochs, message):
    with pytest.raises(ValueError, match=message):
        build().start_training(TrainingFacts(20, epochs))
    build().start_training(TrainingFacts(20, 10))
    build(relabel_epoch=None).start_training(TrainingFacts(20, epochs))


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(high_share=1), r'high_share must lie in \(0, 1\), got 1'),
        (dict(margin=-0.1), r'margin must lie in \[0, 1\], got -0.1'),
        (dict(rank_weight=-1), 'rank_weight must be a number of at least 0'),
        (dict(relabel_epoch=0), 'relabel_epoch must be .* at least 1 or None, got 0'),
        (dict(relabel_threshold=2), r'relabel_threshold must lie in \[0, 1\], got 2'),
        (dict(relabel_group='high'), "relabel_group must be 'all' or 'low'"),
        (dict(uncertainty='alpha'), "uncertainty must be 'importance' or 'confidence'"),
        (dict(noise_score='loss'), "noise_score must be 'importance' or 'probability'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_float32_within_autocast():
    head = build(relabel_epoch=1, relabel_threshold=0.0).float()
    features, labels = batch()
    features = features.detach().float()
    found = []
    for context in (nullcontext(), torch.autocast('cpu', dtype=torch.bfloat16)):
        begin(head, 1)
        with context:
            losses = head.loss((features,), samples(labels))
        found.append((*losses.values(), head.table('label')))
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


# -- predictions ---------------------------------------------------------------
def test_predictions_and_scores():
    features, labels = batch()
    for options, uncertainty in [
        ({}, lambda found: 1 - found['importance']),
        (
            dict(uncertainty='confidence'),
            lambda found: 1 - found['pred_score'].amax(dim=1),
        ),
    ]:
        head = build(**options)
        found = predict(head)
        torch.testing.assert_close(
            found['pred_score'], head((features,)).softmax(dim=1)
        )
        importance = torch.sigmoid(features @ head.alpha.weight[0] + head.alpha.bias)
        torch.testing.assert_close(found['importance'], importance)
        torch.testing.assert_close(found['uncertainty'], uncertainty(found))
    columns = head.score_labels(found, labels)
    assert list(columns) == ['clean_probability', 'noise_score']
    assert torch.equal(columns['clean_probability'], found['importance'])
    assert torch.equal(columns['noise_score'], 1 - found['importance'])
    columns = build(noise_score='probability').score_labels(found, labels)
    assert torch.equal(columns['clean_probability'], found['importance'])
    for score, row, label in zip(
        columns['noise_score'], found['pred_score'], labels, strict=True
    ):
        assert score == 1 - row[label]


def predict(head):
    with mock.patch.object(torch.Tensor, 'float', torch.Tensor.double):
        return head.predict_batch((batch()[0],))


# -- a run -----------------------------------------------------------------------
def tiny(folder, **options):
    options = dict(
        dict(
            model__head__relabel_epoch=1,
            model__head__relabel_threshold=0.0,
            train_dataloader__batch_size=16,
            default_hooks__checkpoint__save_iters=4,
        ),
        **options,
    )
    cfg = tiny_config(folder, 'scn/scn_r18_synthfaces_noise30', **options)
    for loader in ('train_dataloader', 'val_dataloader'):
        cfg[loader].collate_fn = dict(type='fer_collate')
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def read_history(folder):
    return json.loads((folder / 'history.json').read_text())


@pytest.mark.parametrize(
    'stopper',
    [StopAfter(9), StopAt('before_val_epoch', 2)],
    ids=['inside', 'before validation'],
)
def test_changes_are_recorded_and_survive_a_kill(tmp_path, stopper):
    """In history.json for each epoch, in sample_scores.csv for each sample."""
    whole = train(tiny(tmp_path / 'whole'))
    with pytest.raises(Stop):
        train(tiny(tmp_path / 'parts'), stopper)
    train(tiny(tmp_path / 'parts', resume=True))
    assert results(tmp_path / 'whole') == results(tmp_path / 'parts')

    dataset = whole.train_dataloader.dataset
    given, clean = dataset.given_labels, dataset.clean_labels
    # The data set keeps its labels.
    assert np.array_equal(dataset.all_labels.numpy(), given)
    own = whole.model.head.table('label').numpy()
    used = np.where(own < 0, given, own)
    first, *later = [entry['figures'] for entry in read_history(tmp_path / 'whole')]
    assert first['relabelled'] == first['labels_changed'] == 0
    assert first['wrong_left'] == (given != clean).sum()
    assert later[0]['relabelled'] == later[0]['labels_changed'] > 0
    assert later[1]['labels_changed'] == (used != given).sum()
    assert later[1]['wrong_left'] == (used != clean).sum()
    table = read_columns(
        str(tmp_path / 'whole/sample_scores.csv'),
        ['sample_id', 'used_label', 'clean_probability', 'noise_score'],
    )
    ids, written = map(table.whole_numbers, ('sample_id', 'used_label'))
    assert used[ids].tolist() == written and len(ids) == 96


def test_clean_labels_change_no_label(tmp_path, monkeypatch):
    runs = [train(tiny(tmp_path / 'a', train_cfg__max_epochs=2))]
    poison_clean_labels(monkeypatch)
    runs.append(train(tiny(tmp_path / 'b', train_cfg__max_epochs=2)))
    assert torch.equal(*(run.model.head.table('label') for run in runs))
    figures = [read_history(tmp_path / name)[1]['figures'] for name in 'ab']
    assert figures[0]['labels_changed'] == figures[1]['labels_changed'] > 0
    assert figures[0]['wrong_left'] != figures[1]['wrong_left']


def test_no_figures_without_relabelling(tmp_path):
    train(tiny(tmp_path, model__head__relabel_epoch=None, train_cfg__max_epochs=1))
    assert 'figures' not in read_history(tmp_path)[0]
    assert 'used_label' not in (tmp_path / 'sample_scores.csv').read_text()


def test_recipe_of_the_published_code():
    cfg = Config.fromfile(f'{CONFIGS}/scn/scn_r18_rafdb.py')
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-3, weight_decay=1e-4)
    assert 'paramwise_cfg' not in cfg.optim_wrapper
    assert cfg.param_scheduler == dict(type='ExponentialLR', by_epoch=True, gamma=0.9)
    assert cfg.train_cfg.max_epochs == 70 and cfg.train_dataloader.batch_size == 64
    head = build()
    settings = (head.margin, head.high_share, head.relabel_threshold, head.rank_weight)
    assert settings == (0.15, 0.7, 0.2, 1.0) and head.relabel_epoch == 9
    for name in ('affectnet7', 'affectnet8'):
        cfg = Config.fromfile(f'{CONFIGS}/scn/scn_r18_{name}.py')
        for part in (
            cfg.data_preprocessor,
            cfg.train_dataloader.dataset,
            cfg.test_dataloader.dataset,
        ):
            assert part.num_classes == int(name[-1])
        assert cfg.train_dataloader.sampler.type == 'BalancedSampler'
