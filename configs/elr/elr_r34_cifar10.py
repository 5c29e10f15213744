_base_ = [
    '../_base_/models/elr_r34_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/cifar10_elr.py',
    '../_base_/default_runtime.py',
]
