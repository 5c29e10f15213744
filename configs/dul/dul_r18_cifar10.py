# DUL in Table 1 of RUL's supplement, with the settings of RUL and without relabelling.
_base_ = [
    '../_base_/models/dul_r18_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/rul_scratch.py',
    '../_base_/default_runtime.py',
]
