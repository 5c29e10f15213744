_base_ = [
    '../_base_/models/ce_r18_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/cifar_gce.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(depth=34), head=dict(type='GCEHead'))
