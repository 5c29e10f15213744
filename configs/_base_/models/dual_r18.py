# Two ResNet-18 as in ReSup Sec. 4.2. One is pretrained on faces, the other on
# ImageNet, so that they make different mistakes.
model = dict(
    _scope_='mmfer',
    type='DualNetwork',
    network1=dict(
        type='FERClassifier',
        backbone=dict(
            type='ResNet',
            depth=18,
            init_cfg=dict(
                type='Pretrained',
                checkpoint='checkpoints/msceleb_r18.pth',
                prefix='backbone',
            ),
        ),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
    ),
    network2=dict(
        type='FERClassifier',
        backbone=dict(
            type='ResNet',
            depth=18,
            init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
        ),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
