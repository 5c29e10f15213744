"""LTNet against loops and the published code; its matrices and noise scores."""

import numpy as np
import pytest
import torch
from golden_peers import assert_golden, golden

from mmfer.datasets.batches import SampleBatch
from mmfer.methods.ltnet.losses import initial_matrices, observed_log_prob
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS

C = 5


def build(annotators=3, num_samples=20, max_epochs=10, **options):
    """Head whose features are its logits, in the second stage."""
    head = MODELS.build(
        dict(
            type='LTNetHead',
            num_classes=C,
            in_channels=C,
            **dict(dict(annotators=annotators, warmup=0), **options),
        )
    )
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(C))
        head.fc.bias.zero_()
    head.start_training(TrainingFacts(num_samples, max_epochs))
    head.start_epoch(0)
    return head.double()


def batch(labels, ids=None):
    """Samples with the labels of all annotators, (B, A)."""
    labels = torch.as_tensor(labels)
    ids = torch.arange(len(labels)) if ids is None else ids
    return SampleBatch(
        dict(gt_label=labels[:, 0]), dict(gt_label_sets=labels), dict(sample_id=ids)
    )


# -- the published code ----------------------------------------------------------
@pytest.mark.parametrize(
    'preset, name', [('paper', 'nll'), ('official', 'double_softmax')]
)
def test_equals_the_published_code(preset, name):
    """Projection, loss and gradients, from matrices with negative entries."""
    data = golden('ltnet_loss')
    given, want = data['inputs'], data['outputs']
    head = build(preset=preset, min_entry=data['options']['minvalue'])
    with torch.no_grad():
        head.matrices.copy_(given['raw_matrices'])
    logits = given['logits'].requires_grad_()
    loss = head.loss((logits,), batch(given['targets'].T))['loss']
    loss.backward()
    assert_golden(loss, want[f'loss_{name}'])
    assert_golden(logits.grad, want[f'grad_logits_{name}'])
    assert_golden(head.matrices.grad, want[f'grad_matrices_{name}'])
    assert_golden(head.matrices, want['projected_matrices'])
    observed = observed_log_prob(logits.log_softmax(1), head.matrices).exp()
    assert_golden(observed.transpose(0, 1), want['observed'])


def test_start_equals_the_published_code():
    data = golden('ltnet_loss')
    options = data['options']
    found = initial_matrices(
        data['inputs']['init_draw'],
        options['minvalue'],
        options['diagonal_before_normalisation'],
    )
    assert_golden(found, data['outputs']['init_matrices'])
