_base_ = './ce_r18.py'
model = dict(
    neck=dict(_delete_=True, type='UncertaintyNeck'),
    head=dict(_delete_=True, type='DULHead'),
)
