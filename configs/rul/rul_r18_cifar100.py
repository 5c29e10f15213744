_base_ = [
    '../_base_/models/rul_r18_cifar.py',
    '../_base_/datasets/cifar100_rul.py',
    '../_base_/schedules/rul_scratch.py',
    '../_base_/default_runtime.py',
]
# Supplement, Sec. B. It states the number of epochs and the first epoch of relabelling;
# the rest of the schedule is that of its Sec. E.
custom_hooks = [dict(type='RelabelHook', start_epoch=100)]
