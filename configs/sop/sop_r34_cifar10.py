_base_ = [
    '../_base_/models/sop_r34_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/cifar_sop.py',
    '../_base_/default_runtime.py',
]
