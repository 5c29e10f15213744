"""Hidden layers between a backbone and a linear head."""

import pytest
import torch

from mmfer.models import HiddenLayers
from mmfer.registry import MODELS


def test_has_the_hidden_layers_of_the_multi_task_head():
    neck = HiddenLayers(in_channels=3, map_size=(2, 2), hidden_dim=5).eval()
    head = MODELS.build(
        dict(
            type='MultiTaskHead',
            num_classes=7,
            in_channels=3,
            map_size=(2, 2),
            hidden_dim=5,
        )
    ).eval()
    head.hidden.load_state_dict(neck.layers.state_dict())
    maps = torch.randn(4, 3, 2, 2)
    (found,) = neck((torch.randn(4, 1, 9, 9), maps))
    assert torch.equal(found, head.hidden(maps.flatten(1)))
    assert len(set(neck.train()((maps,))[0].flatten().tolist())) > 1


def test_batch_norm_and_vectors():
    neck = HiddenLayers(6, (1, 1), 4, num_layers=1, batch_norm=True, dropout=0)
    kinds = [type(layer).__name__ for layer in neck.layers]
    assert kinds == ['Linear', 'BatchNorm1d', 'ReLU']
    (found,) = neck(torch.randn(5, 6))
    assert found.shape == (5, 4) and found.min() == 0


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(hidden_dim=0), 'HiddenLayers: hidden_dim must be .* at least 1, got 0'),
        (dict(num_layers=0), 'num_layers must be .* at least 1, got 0'),
        (dict(dropout=1), r'dropout must lie in \[0, 1\), got 1'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        HiddenLayers(3, (2, 2), **options)


def test_another_image_size_is_refused():
    """The layers fit one size of maps alone."""
    model = MODELS.build(
        dict(
            type='FERClassifier',
            backbone=dict(type='PlainVGG16', base_channels=2),
            neck=dict(type='HiddenLayers', hidden_dim=4),
            head=dict(type='CEHead', num_classes=3),
            data_preprocessor=dict(type='FERDataPreprocessor', input_shape=(3, 64, 64)),
        )
    )
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 3)
    with pytest.raises(ValueError, match='64'):
        model(torch.randn(2, 3, 96, 96))
