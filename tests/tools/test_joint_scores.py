"""The probe shows which parts of a tuple a discriminator relates."""

import numpy as np
import pytest
import torch
from helpers import CONFIGS, load_tool
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from torch import nn

from mmfer.registry import MODELS

tool = load_tool('analysis_tools/joint_scores.py')


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
        rows = {
            k: float(v.mean())
            for k, v in tool.exchanged_scores(model, images, labels).items()
        }
    finally:
        model.discriminator = own
    for whole, blank in (("encoder's tuples", ''), ("decoder's tuples", ' ')):
        for name, row in (
            ('labels', 'all labels of another image'),
            ('latent', 'latent vector of another image'),
        ):
            change = abs(rows[f'  {row}{blank}'] - rows[whole])
            assert (change > 1e-13) == (name in moved), (whole, row)


def test_images_that_miss_a_value_are_left_out(model, monkeypatch):
    cfg = Config.fromfile(f'{CONFIGS}/jointgan/jointgan_vgg16_synthfaces_noise30.py')
    cfg.train_dataloader.dataset.num_samples = 7
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline
    inputs, labels = tool.read_batch(cfg, model, 5)
    assert len(inputs) == 5

    def collate(samples):
        samples[2]['data_samples'].gt_va[0] = np.nan
        return default_collate(samples)

    monkeypatch.setattr(tool, 'default_collate', collate)
    some, fewer = tool.read_batch(cfg, model, 5)
    kept = [0, 1, 3, 4]
    torch.testing.assert_close(some, inputs[kept])
    for found, whole in zip(fewer, labels, strict=True):
        torch.testing.assert_close(found, whole[kept])
