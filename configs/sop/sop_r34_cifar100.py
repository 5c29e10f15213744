_base_ = [
    '../_base_/models/sop_r34_cifar.py',
    '../_base_/datasets/cifar100_rul.py',
    '../_base_/schedules/cifar_sop.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(lr_u=1.0))
