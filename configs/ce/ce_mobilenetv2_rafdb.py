_base_ = './ce_r18imagenet_rafdb.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'mobilenet_v2/'
            'mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth',
            prefix='backbone',
        ),
    )
)
