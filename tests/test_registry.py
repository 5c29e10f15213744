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


@pytest.mark.parametrize(
    'node, name',
    [
        ('MODELS', 'ResNet'),
        ('MODELS', 'ALUMHead'),
        ('MODELS', 'CrossEntropyLoss'),
        ('DATASETS', 'CustomDataset'),
        ('TRANSFORMS', 'RandomErasing'),
        ('TRANSFORMS', 'LoadFERImage'),
        ('METRICS', 'Accuracy'),
        ('HOOKS', 'CheckpointHook'),
        ('HOOKS', 'VisualizationHook'),
        ('OPTIM_WRAPPERS', 'OptimWrapper'),
        ('TASK_UTILS', 'SymmetricNoise'),
        ('VISUALIZERS', 'UniversalVisualizer'),
    ],
)
def test_names_resolve_unprefixed(node, name):
    assert getattr(registry, node).get(name) is not None


@pytest.mark.parametrize('old, new', registry.RENAMED.items())
@pytest.mark.parametrize('scope', ['', 'mmfer.'])
def test_old_names_tell_the_new_one(old, new, scope):
    owners = [
        getattr(registry, node)
        for node in parents.__all__
        if new in getattr(registry, node).module_dict
    ]
    assert owners, f'{new} is registered nowhere'
    for node in owners:
        for build in (node.build, node.parent.build)[: 2 if scope else 1]:
            with pytest.raises(KeyError, match=f'{old} is now called {new}'):
                build(dict(type=scope + old))


def test_a_class_of_the_user_may_have_an_old_name():
    class PeakHook:
        pass

    try:
        registry.HOOKS.register_module(module=PeakHook)
        assert isinstance(registry.HOOKS.build(dict(type='PeakHook')), PeakHook)
    finally:
        registry.HOOKS._module_dict.pop('PeakHook', None)


def test_building_does_not_warn():
    with DefaultScope.overwrite_default_scope('mmfer'), warnings.catch_warnings():
        warnings.simplefilter('error')
        model = registry.MODELS.build(
            dict(
                type='FERClassifier',
                backbone=dict(type='ResNet', depth=18),
                neck=dict(type='FeaturePooling'),
                head=dict(type='CEHead', num_classes=7),
                data_preprocessor=dict(input_shape=(3, 64, 64)),
            )
        )
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
            data_preprocessor=dict(input_shape=(3, 64, 64)),
        )
    )
    assert model.head.in_channels == 64


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmfer'])
@pytest.mark.parametrize('kind', [{}, dict(type='ClsDataPreprocessor')])
def test_a_config_of_mmpretrain(scope, kind):
    """Its data_preprocessor has mean, std and num_classes, and no type."""
    from mmpretrain.registry import MODELS
    from mmpretrain.structures import DataSample

    cfg = dict(
        type='mmfer.FERClassifier',
        backbone=dict(type='ResNetSmallStem', depth=18, base_channels=4),
        neck=dict(type='UncertaintyNeck'),
        head=dict(type='ALUMHead'),
        latent_compensation=dict(type='LatentCompensation'),
        data_preprocessor=dict(
            kind, num_classes=3, mean=[128.0] * 3, std=[64.0] * 3, to_rgb=True
        ),
    )
    samples = [DataSample().set_gt_label(i) for i in (0, 1, 0, 1)]

    def step(model, size):
        data = model.data_preprocessor(
            dict(
                inputs=torch.zeros(4, 3, size, size, dtype=torch.uint8),
                data_samples=samples,
            ),
            True,
        )
        losses = model(**data, mode='loss')
        assert sum(losses.values()).isfinite()

    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(cfg)
        assert model.head.num_classes == 3
        step(model, 224)
        with pytest.raises(ValueError) as error:
            step(model, 32)
        advice = "dict(type='mmfer.FERDataPreprocessor', input_shape=(3, 32, 32), ...)"
        assert '(3, 224, 224)' in str(error.value)
        assert advice in str(error.value)
        cfg['data_preprocessor'].update(
            type='mmfer.FERDataPreprocessor', input_shape=(3, 32, 32)
        )
        step(MODELS.build(cfg), 32)


def test_scopes_of_other_projects_keep_theirs():
    """A child of our registries finds its own names in what it builds."""
    from mmengine.registry import Registry

    child = Registry('model', parent=registry.MODELS, scope='lab')
    try:
        child.register_module(name='LabHead', module=registry.MODELS.get('CEHead'))
        with DefaultScope.overwrite_default_scope('lab'):
            head = registry.MODELS.build(
                dict(type='LabHead', num_classes=2, in_channels=3)
            )
        assert head.num_classes == 2
    finally:
        del registry.MODELS._children['lab']


def test_mmpretrain_builds_our_models():
    """``mmpretrain.get_model`` forces its own scope upon the build."""
    from helpers import CONFIGS
    from mmengine.config import Config
    from mmpretrain import get_model

    cfg = Config.fromfile(f'{CONFIGS}/alum/alum_r18_synthfaces.py')
    model = get_model(cfg, pretrained=False)
    assert type(model.head).__name__ == 'ALUMHead'
    assert model.data_preprocessor.input_shape == (1, 44, 44)
