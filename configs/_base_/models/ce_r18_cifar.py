# ResNet-18 for 32 px: a 3x3 stem without stride, no max-pool, random weights.
model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(type='ResNet_CIFAR', depth=18),
    neck=dict(type='FeaturePooling'),
    head=dict(type='CEHead'),
)
