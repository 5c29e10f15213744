_base_ = './resup_r18_rafdb.py'
# Table 4: both networks are pretrained on ImageNet.
backbone = dict(
    init_cfg=dict(_delete_=True, type='Pretrained', checkpoint='torchvision://resnet18')
)
model = dict(network1=dict(backbone=backbone), network2=dict(backbone=backbone))
