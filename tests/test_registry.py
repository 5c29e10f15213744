import warnings

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain import registry as parents

from mmfer import registry


@pytest.mark.parametrize('node', [n for n in parents.__all__])
def test_every_node_has_a_child(node):
    name = node if hasattr(registry, node) else None
    assert name, f'{node} has no child in mmfer'
    child = getattr(registry, name)
    assert child.scope == 'mmfer' and child.parent is getattr(parents, node)


@pytest.mark.parametrize('node, name', [
    ('MODELS', 'ResNet'), ('MODELS', 'ALUMHead'),
    ('MODELS', 'CrossEntropyLoss'), ('DATASETS', 'CustomDataset'),
    ('TRANSFORMS', 'RandomErasing'), ('TRANSFORMS', 'LoadFERImage'),
    ('METRICS', 'Accuracy'), ('HOOKS', 'CheckpointHook'),
    ('HOOKS', 'VisualizationHook'), ('OPTIM_WRAPPERS', 'OptimWrapper'),
    ('TASK_UTILS', 'SymmetricNoise'), ('VISUALIZERS', 'UniversalVisualizer')])
def test_names_resolve_unprefixed(node, name):
    assert getattr(registry, node).get(name) is not None


def test_building_does_not_warn():
    with DefaultScope.overwrite_default_scope('mmfer'), \
            warnings.catch_warnings():
        warnings.simplefilter('error')
        model = registry.MODELS.build(
            dict(
                type='FERClassifier',
                backbone=dict(type='ResNet', depth=18),
                neck=dict(type='FeaturePooling'),
                head=dict(type='CEHead', num_classes=7),
                data_preprocessor=dict(input_shape=(3, 64, 64))))
        model.init_weights()
    assert isinstance(model.head.fc, torch.nn.Linear)


def test_model_builds_without_a_default_scope():
    """As mmpretrain's ``get_model`` and plain Python do."""
    model = registry.MODELS.build(
        dict(
            type='FERClassifier',
            backbone=dict(type='ResNet', depth=18),
            neck=dict(type='UncertaintyNeck'),
            head=dict(type='ALUMHead', num_classes=7),
            latent_compensation=dict(),
            data_preprocessor=dict(input_shape=(3, 64, 64))))
    assert model.head.in_channels == 64


def test_mmpretrain_builds_our_models():
    """``mmpretrain.get_model`` forces its own scope upon the build."""
    from helpers import CONFIGS
    from mmengine.config import Config
    from mmpretrain import get_model
    cfg = Config.fromfile(f'{CONFIGS}/alum/alum_r18_synthfaces.py')
    model = get_model(cfg, pretrained=False)
    assert type(model.head).__name__ == 'ALUMHead'
    assert model.data_preprocessor.input_shape == (1, 44, 44)
