_base_ = './ce_r18imagenet_rafdb.py'
model = dict(
    backbone=dict(depth=50, init_cfg=dict(checkpoint='torchvision://resnet50'))
)
