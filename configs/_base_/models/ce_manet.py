# MA-Net. The published weights of the whole network are not used: stem and first two
# stages start from the MS-Celeb ResNet-18, and the branches from random weights.
model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(
        type='MANet',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/msceleb_r18.pth',
            prefix='backbone',
        ),
    ),
    neck=dict(type='FeaturePooling'),
    head=dict(type='MANetHead'),
    partial_weights=True,
)
