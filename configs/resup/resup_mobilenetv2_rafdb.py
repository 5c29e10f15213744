_base_ = './resup_r18_rafdb.py'
# Table 4: both networks are pretrained on ImageNet.
backbone = dict(
    _delete_=True,
    type='MobileNetV2',
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/'
        'mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth',
        prefix='backbone',
    ),
)
model = dict(network1=dict(backbone=backbone), network2=dict(backbone=backbone))
