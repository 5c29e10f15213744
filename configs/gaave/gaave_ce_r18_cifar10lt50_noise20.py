_base_ = ['../ce/ce_r18_cifar10lt50_noise20.py', '../_base_/cleaning/cifar.py']
custom_hooks = [_base_.cleaning]
