"""Sizes that a config leaves out are found."""

import pytest
import torch

from mmfer.models.feature_sizes import accepts
from mmfer.registry import MODELS

ALUM = dict(
    neck=dict(type='UncertaintyNeck'),
    head=dict(type='ALUMHead'),
    latent_compensation=dict(prob=1.0),
)


CE = dict(neck=dict(type='FeaturePooling'), head=dict(type='CEHead'))


RUL = dict(neck=dict(type='UncertaintyNeck'), head=dict(type='RULHead'))


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


def test_features_with_channels_in_another_place():
    """An MLP-Mixer returns (B, C, L); pooling averages over L."""
    cfg = dict(
        type='MlpMixer',
        img_size=32,
        patch_size=16,
        arch=dict(embed_dims=6, num_layers=1, tokens_mlp_dims=4, channels_mlp_dims=4),
    )
    model = build(cfg, (3, 32, 32), CE)
    (feature,) = model.backbone(torch.randn(2, 3, 32, 32))
    assert feature.shape == (2, 6, 4)
    torch.testing.assert_close(model.neck([feature])[0], feature.mean(2))
    assert model.head.in_channels == 6
    neck = build(cfg, (3, 32, 32)).neck
    assert (neck.in_channels, neck.map_size) == (6, (4, 1))


def test_branches_of_one_stage_are_joined():
    """Class and distillation token, or convolution and transformer."""
    arch = dict(embed_dims=8, num_layers=1, num_heads=1, feedforward_channels=8)
    model = build(
        dict(type='DistilledVisionTransformer', arch=arch, img_size=32), (3, 32, 32), CE
    )
    assert model.head.in_channels == 16
    (tokens,) = model.backbone(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(model.neck([tokens])[0], torch.cat(tokens, dim=1))


@pytest.mark.parametrize('method', [ALUM, RUL, CE])
def test_sizes_are_those_a_config_could_give(method):
    found = build(method=method)
    assert found.head.num_classes == 7
    explicit = dict(neck=dict(method['neck']), head=dict(method['head']))
    explicit['head']['num_classes'] = 7
    if method is CE:
        explicit['head']['in_channels'] = 512
    else:
        # A stem and three stages of stride 2 reduce 32 px to 2 px.
        explicit['neck'].update(in_channels=512, map_size=(2, 2))
        explicit['head']['in_channels'] = 64
    given = build(method={**method, **explicit})
    assert found.state_dict().keys() == given.state_dict().keys()
    for key, value in found.state_dict().items():
        assert torch.equal(value, given.state_dict()[key]), key


def test_given_sizes_win():
    head = dict(type='CEHead', num_classes=3, in_channels=512)
    assert build(method=CE, head=head).head.num_classes == 3


def test_missing_number_of_classes_is_explained():
    with pytest.raises(ValueError, match='num_classes'):
        MODELS.build(
            dict(
                type='FERClassifier',
                backbone=dict(type='ResNetSmallStem', depth=18),
                data_preprocessor=dict(input_shape=(3, 32, 32)),
                **RUL,
            )
        )


def test_accepts():
    assert accepts(dict(type='CEHead'), 'in_channels')
    assert accepts(dict(type='UncertaintyNeck'), 'map_size')
    assert not accepts(dict(type='GlobalAveragePooling'), 'in_channels')
    with pytest.raises(KeyError, match='NoSuchClass.*spelling'):
        accepts(dict(type='NoSuchClass'), 'in_channels')


def test_a_head_that_passes_its_arguments_on(monkeypatch):
    """Sizes that only the base class names are found, too."""

    class PassesOn(MODELS.get('ALUMHead')):
        def __init__(self, *args, gap=0.1, **kwargs):
            super().__init__(*args, **kwargs)
            self.gap = gap

    class Fixed(MODELS.get('ALUMHead')):
        def __init__(self, num_classes):
            super().__init__(num_classes, in_channels=64)

    for cls in (PassesOn, Fixed):
        monkeypatch.setitem(MODELS.module_dict, cls.__name__, cls)
    assert not accepts(dict(type='Fixed'), 'in_channels')
    assert not accepts(dict(type='PassesOn'), 'map_size')
    head = build(method=dict(ALUM, head=dict(type='PassesOn', gap=0.2))).head
    assert (head.num_classes, head.in_channels, head.gap) == (7, 64, 0.2)
