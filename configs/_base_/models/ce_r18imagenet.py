_base_ = './ce_r18.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='torchvision://resnet18'
        )
    )
)
