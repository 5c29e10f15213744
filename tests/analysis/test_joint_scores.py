"""The probe shows which parts of a tuple a discriminator relates."""

import numpy as np
import pytest
import torch
from helpers import CONFIGS
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from torch import nn

from mmfer.analysis import joint_scores
from mmfer.registry import MODELS


class Relates(nn.Module):
    """Its joint score is how two parts of a tuple agree, and nothing else."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = parts

    def forward(self, images, vectors):
        of = dict(
            image=images.flatten(1),
            latent=vectors[0],
            classes=vectors[1],
            va=vectors[2],
        )
        one, other = (
            of[part].double().mean(dim=1)
            if part == 'image'
            else of[part].double()[:, 0]
            for part in self.parts
        )
        return torch.stack([torch.ones_like(one), one * other], dim=1)


@pytest.fixture(scope='module')
def model():
    init_default_scope('mmfer')
    cfg = Config.fromfile(f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces_noise30.py')
    torch.manual_seed(0)
    return MODELS.build(
        dict(cfg.model, data_preprocessor=cfg.data_preprocessor, latent_dim=4)
    ).eval()


@pytest.mark.parametrize(
    'parts, moved',
    [
        (('image', 'latent'), {'latent'}),
        (('image', 'va'), {'labels'}),
        (('classes', 'va'), set()),
        (('latent', 'va'), {'labels', 'latent'}),
    ],
)
def test_only_what_is_exchanged_changes(model, parts, moved):
    """Labels are exchanged together, so that they go on agreeing."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(64, 1, 32, 32, generator=generator)
    labels = (
        torch.randint(7, (64,), generator=generator),
        torch.rand(64, 2, generator=generator) * 2 - 1,
    )
    own, model.discriminator = model.discriminator, Relates(*parts)
    try:
        torch.manual_seed(0)
        found = joint_scores.exchanged_scores(model, images, labels)
    finally:
        model.discriminator = own
    means = {(row.source, row.change): float(row.scores.mean()) for row in found}
    for source in ('encoder', 'decoder'):
        for name, row in (
            ('labels', 'all labels of another image'),
            ('latent', 'latent vector of another image'),
        ):
            change = abs(means[source, row] - means[source, ''])
            assert (change > 1e-13) == (name in moved), (source, row)


def test_discriminator_gets_what_it_gets_in_training(model, monkeypatch):
    """Probabilities of the encoder's classes, if it is trained with them."""
    images, labels = torch.randn(8, 1, 32, 32), (torch.arange(8) % 7, torch.rand(8, 2))
    sums = {}
    for form in ('logits', 'probabilities'):
        seen = []
        monkeypatch.setattr(model, 'label_form', form)
        hook = model.discriminator.register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[1][1])
        )
        joint_scores.exchanged_scores(model, images, labels)
        hook.remove()
        sums[form] = seen[0].sum(dim=1)
    ones = torch.ones(8)
    torch.testing.assert_close(sums['probabilities'], ones)
    assert not torch.allclose(sums['logits'], ones)


def test_scores_as_text():
    rows = [
        joint_scores.TupleScores('encoder', '', torch.tensor([1.0, 2.0])),
        joint_scores.TupleScores('encoder', 'x of another', torch.tensor([0.0, 1.0])),
        joint_scores.TupleScores('decoder', '', torch.tensor([3.0, 3.0])),
    ]
    assert [line.split() for line in joint_scores.format_scores(rows).splitlines()] == [
        ['joint', 'score', 'mean', 'std', 'change'],
        ["encoder's", 'tuples', '1.500', '0.707'],
        ['x', 'of', 'another', '0.500', '0.707', '-1.000'],
        ["decoder's", 'tuples', '3.000', '0.000'],
    ]


def test_images_that_miss_a_value_are_left_out(model, monkeypatch):
    cfg = Config.fromfile(f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces_noise30.py')
    cfg.train_dataloader.dataset.num_samples = 7
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    inputs, labels = joint_scores.read_batch(cfg, model, 5)
    assert len(inputs) == 5

    def collate(samples):
        samples[2]['data_samples'].gt_va[0] = np.nan
        return default_collate(samples)

    monkeypatch.setattr(joint_scores, 'default_collate', collate)
    some, fewer = joint_scores.read_batch(cfg, model, 5)
    kept = [0, 1, 3, 4]
    torch.testing.assert_close(some, inputs[kept])
    for found, whole in zip(fewer, labels, strict=True):
        torch.testing.assert_close(found, whole[kept])
