_base_ = [
    '../_base_/models/ce_r18_cifar.py',
    '../_base_/datasets/cifar10n.py',
    '../_base_/schedules/cifar_n.py',
    '../_base_/default_runtime.py',
]
