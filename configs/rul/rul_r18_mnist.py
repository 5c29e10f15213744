_base_ = [
    '../_base_/models/rul_r18_cifar.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/rul_mnist.py',
    '../_base_/default_runtime.py',
]
# Supplement, Sec. B.
custom_hooks = [dict(type='RelabelHook', start_epoch=10)]
