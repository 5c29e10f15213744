_base_ = '../ce/ce_r18_cifar10lt50_noise10.py'
custom_hooks = [dict(type='GAAVEHook')]
