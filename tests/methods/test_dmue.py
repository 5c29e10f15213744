"""DMUE against the published code, loops, and one BatchNorm after another."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from golden_peers import assert_golden, golden
from mmpretrain.structures import DataSample

from mmfer.methods.dmue import losses
from mmfer.models.sample_state import TrainingFacts
from mmfer.registry import MODELS


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
