# Table 1 of the joint-distribution GAN: the same encoder on all noisy labels.
_base_ = [
    '../_base_/models/multitask_vgg16.py',
    '../_base_/datasets/cifar10_multinoise.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(label_sets=[10, 10, 10]))
