_base_ = '../ce/ce_r18_cifar10lt50_noise20.py'
custom_hooks = [dict(type='GAAVEHook')]
