_base_ = './alum_r18_paper.py'
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='torchvision://resnet18'
        )
    )
)
