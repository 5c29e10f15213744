_base_ = './resup_r18_rafdb.py'
# Table 4: both networks are pretrained on ImageNet.
backbone = dict(
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
model = dict(network1=dict(backbone=backbone), network2=dict(backbone=backbone))
