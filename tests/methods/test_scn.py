"""SCN against loops and the published code; what it keeps for each sample."""

from unittest import mock

import pytest
import torch
from golden_peers import assert_golden, golden
from mmpretrain.structures import DataSample

from mmfer.methods.scn.equations import (
    corrected_labels,
    important_images,
    rank_regularization,
)
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

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
