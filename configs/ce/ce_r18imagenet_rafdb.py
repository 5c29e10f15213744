# Baseline in ReSup's Table 4, with the schedule and augmentation of ReSup.
_base_ = [
    '../_base_/models/ce_r18.py',
    '../_base_/datasets/rafdb_resup.py',
    '../_base_/schedules/rafdb_resup.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='torchvision://resnet18'
        )
    )
)
