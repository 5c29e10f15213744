_base_ = '../ce/ce_r18_cifar10lt50_pair10.py'
custom_hooks = [dict(type='GAAVEHook')]
