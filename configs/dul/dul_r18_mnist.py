# DUL in Table 1 of RUL's supplement, with the settings of RUL and without relabelling.
_base_ = [
    '../_base_/models/dul_r18_cifar.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/rul_mnist.py',
    '../_base_/default_runtime.py',
]
