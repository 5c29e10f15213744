# Table 1 of the joint-distribution GAN: LTNet with the encoder and the labels of
# ce_vgg16_cifar10_multinoise.
_base_ = [
    '../_base_/models/ltnet_vgg16.py',
    '../_base_/datasets/cifar10_multinoise.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(annotators=3))
