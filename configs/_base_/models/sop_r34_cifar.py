_base_ = './ce_r18_cifar.py'
# ResNet-34 for 32 px: a 3x3 stem without stride, no max-pool, random weights.
model = dict(backbone=dict(depth=34), head=dict(_delete_=True, type='SOPHead'))
