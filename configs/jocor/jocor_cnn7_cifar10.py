_base_ = [
    '../_base_/models/jocor_cnn7.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/cifar_jocor.py',
    '../_base_/default_runtime.py',
]
# The papers report the mean of the last ten epochs.
default_hooks = dict(summary=dict(last_k=10))
