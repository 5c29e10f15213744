# Two ResNet-18 for 32 px, from random weights. The published code has PreAct-ResNet-18,
# in which BatchNorm and ReLU stand before each convolution.
model = dict(
    _scope_='mmfer',
    type='DivideMix',
    preset='official',
    network1=dict(
        type='FERClassifier',
        backbone=dict(type='ResNet_CIFAR', depth=18),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
