# Table 2 of GAAVE.
_base_ = [
    '../_base_/models/coteaching_r18_cifar.py',
    '../_base_/datasets/cifar10_lt50.py',
    '../_base_/schedules/cifar_gaave.py',
    '../_base_/default_runtime.py',
]
# The paper reports the mean of the last ten epochs.
default_hooks = dict(summary=dict(last_k=10))
