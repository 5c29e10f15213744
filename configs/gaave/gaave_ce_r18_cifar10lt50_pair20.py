_base_ = '../ce/ce_r18_cifar10lt50_pair20.py'
custom_hooks = [dict(type='GAAVEHook')]
