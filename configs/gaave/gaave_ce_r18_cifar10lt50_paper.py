_base_ = ['../ce/ce_r18_cifar10lt50.py', '../_base_/cleaning/paper.py']
custom_hooks = [_base_.cleaning]
