_base_ = [
    '../_base_/models/sopplus_r18_cifar.py',
    '../_base_/datasets/cifar10_views.py',
    '../_base_/schedules/cifar_sopplus.py',
    '../_base_/default_runtime.py',
]
