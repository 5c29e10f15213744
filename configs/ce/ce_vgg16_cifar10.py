# Table 1 of the joint-distribution GAN, clean labels.
_base_ = [
    '../_base_/models/multitask_vgg16.py',
    '../_base_/datasets/cifar10_gan.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
