_base_ = [
    '../_base_/models/elr_r34_cifar.py',
    '../_base_/datasets/cifar100_rul.py',
    '../_base_/schedules/cifar100_elr.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(beta=0.9, weight=7.0))
