_base_ = './dul_r18.py'
# ResNet-18 for 32 px: a 3x3 stem without stride, no max-pool, random weights.
model = dict(backbone=dict(_delete_=True, type='ResNet_CIFAR', depth=18))
