# lambda is 0.4 as in the paper; the published code has 0.8.
_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/cifar10_multinoise.py',
    '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py',
]
model = dict(encoder=dict(head=dict(label_sets=[10, 10, 10])), adversarial_weight=0.4)
custom_hooks = [dict(type='JointGANPicturesHook')]
