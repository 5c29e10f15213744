_base_ = './ce_r50.py'
model = dict(
    type='EACClassifier',
    neck=dict(_delete_=True, type='LastMap'),
    head=dict(_delete_=True, type='EACHead'),
)
