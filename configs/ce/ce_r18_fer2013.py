_base_ = [
    '../_base_/models/ce_r18_cifar.py',
    '../_base_/datasets/fer2013.py',
    '../_base_/schedules/rul_scratch.py',
    '../_base_/default_runtime.py',
]
