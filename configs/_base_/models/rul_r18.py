_base_ = './ce_r18.py'
model = dict(
    neck=dict(_delete_=True, type='UncertaintyNeck', out_channels=64),
    head=dict(_delete_=True, type='RULHead'),
)
