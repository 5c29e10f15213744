model = dict(
    _scope_='mmfer',
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
)
