_base_ = './ce_r18_small.py'
# The last map of 44 px has 3 x 3 positions.
model = dict(
    type='EACClassifier',
    neck=dict(_delete_=True, type='LastMap'),
    head=dict(_delete_=True, type='EACHead'),
)
