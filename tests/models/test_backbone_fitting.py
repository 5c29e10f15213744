"""Backbones are built for the images, and images are changed to fit them."""

import pytest
import torch
from torch import nn

from mmfer.registry import MODELS

ALUM = dict(
    neck=dict(type='UncertaintyNeck'),
    head=dict(type='ALUMHead'),
    latent_compensation=dict(prob=1.0),
)


CE = dict(neck=dict(type='FeaturePooling'), head=dict(type='CEHead'))


def build(backbone=None, shape=(3, 32, 32), method=ALUM, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='FERClassifier',
            backbone=backbone or dict(type='ResNetSmallStem', depth=18),
            data_preprocessor=dict(
                type='FERDataPreprocessor', input_shape=shape, num_classes=7
            ),
            **{**method, **options},
        )
    )


class SideOf(nn.Module):
    """A backbone for images whose sides ``divisor`` divides."""

    def __init__(self, divisor):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, divisor, divisor)
        self.divisor = divisor

    def forward(self, x):
        if x.shape[2] % self.divisor or x.shape[3] % self.divisor:
            raise TypeError(f'no multiple of {self.divisor}.')
        return self.conv(x)


def test_sides_are_padded_as_little_as_can_be(monkeypatch):
    said = []
    monkeypatch.setattr(
        'mmfer.models.classifier.print_log', lambda text, **kwargs: said.append(text)
    )
    images = torch.randn(2, 3, 24, 43)
    for divisor, padding in (
        (1, (0, 0, 0, 0)),
        (8, (2, 3, 0, 0)),
        (16, (2, 3, 4, 4)),
        (32, (10, 11, 4, 4)),
    ):
        backbone = SideOf(divisor)
        model = build(backbone, (3, 24, 43), CE)
        assert model.fitting.padding == padding
        torch.testing.assert_close(
            model.extract_feat(images, stage='backbone'),
            backbone(nn.functional.pad(images, padding)),
        )
        said.clear()
        model.init_weights()
        assert len(said) == (divisor > 1)
        assert divisor == 1 or str(padding) in said[0]


def test_grey_images_for_a_network_of_grey_images():
    model = build(dict(type='LeNet5'), (1, 32, 32), CE)
    assert not model.fitting.colour
    assert model.extract_feat(torch.zeros(2, 1, 32, 32))[0].shape == (2, 120)


def test_what_would_help_is_found_out():
    tiny = dict(embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8)
    for cfg, shape, way in (
        (
            dict(type='BEiTViT', arch=tiny),
            (3, 36, 36),
            r'It can with backbone.img_size=36, or with images of shape '
            r'\(3, 224, 224\)',
        ),
        (
            dict(
                type='TNT',
                img_size=32,
                arch=dict(
                    embed_dims_outer=8,
                    embed_dims_inner=4,
                    num_layers=1,
                    num_heads_outer=1,
                    num_heads_inner=1,
                ),
            ),
            (3, 16, 64),
            r'It can with backbone.img_size=\(16, 64\)\.',
        ),
        (
            dict(
                type='SwinTransformer',
                arch=dict(embed_dims=8, depths=[1, 1], num_heads=[1, 1]),
                out_indices=(1,),
            ),
            (1, 24, 24),
            'It can with backbone.pad_small_map=True',
        ),
        (
            dict(type='LeNet5'),
            (3, 32, 32),
            r'It can with images of shape \(1, 32, 32\)',
        ),
        (
            dict(type='SparseResNet', depth=50),
            (3, 32, 32),
            "SparseResNet.*'NoneType'.*do not help.*take another backbone",
        ),
    ):
        with pytest.raises(ValueError, match=way):
            build(cfg, shape)


def test_a_module_that_fails_is_named():
    """The message quotes the error of the backbone, of any kind."""
    with pytest.raises(
        ValueError,
        match=(
            r'SideOf cannot process images of shape \(3, 20, 20\).*: no '
            'multiple of 7. Give it other options'
        ),
    ) as error:
        build(SideOf(7), (3, 20, 20))
    assert isinstance(error.value.__cause__, TypeError)


def test_impossible_image_size_is_explained():
    with pytest.raises(
        ValueError,
        match=r'VisionTransformer cannot process '
        r'images of shape \(3, 64, 64\)',
    ):
        build(
            dict(type='VisionTransformer', arch='deit-tiny', interpolate_mode='none'),
            (3, 64, 64),
        )
