_base_ = './ce_r18imagenet_rafdb.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='VGG',
        depth=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'vgg/vgg16_batch256_imagenet_20210208-db26f1a5.pth',
            prefix='backbone',
        ),
    )
)
