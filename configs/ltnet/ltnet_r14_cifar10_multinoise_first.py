# First stage of LTNet's recipe for CIFAR-10: cross-entropy with all labels.
_base_ = [
    '../_base_/models/ltnet_r14_cifar.py',
    '../_base_/datasets/cifar10_ltnet.py',
    '../_base_/schedules/cifar_ltnet.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(preset='paper', warmup=1))
