_base_ = ['../ce/ce_r18_cifar10lt50_noise10.py', '../_base_/cleaning/cifar.py']
custom_hooks = [_base_.cleaning]
