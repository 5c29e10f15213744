_base_ = [
    '../_base_/models/sopplus_r18_cifar.py',
    '../_base_/datasets/cifar100_views.py',
    '../_base_/schedules/cifar_sopplus.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(lr_u=1.0))
