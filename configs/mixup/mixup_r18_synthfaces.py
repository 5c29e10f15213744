_base_ = '../ce/ce_r18_synthfaces.py'
model = dict(train_cfg=dict(augments=dict(type='Mixup', alpha=1.0)))
