# Two ResNet-18 for 32 px. Each starts from its own random weights.
model = dict(
    _scope_='mmfer',
    type='CoTeaching',
    network1=dict(
        type='FERClassifier',
        backbone=dict(type='ResNet_CIFAR', depth=18),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
