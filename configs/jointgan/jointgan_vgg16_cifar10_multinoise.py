# lambda is that of the preset: 0.4 of the paper, or 0.8 with model.preset=official.
_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/cifar10_multinoise.py',
    '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py',
]
model = dict(encoder=dict(head=dict(label_sets=[10, 10, 10])))
custom_hooks = [dict(type='JointGANPicturesHook')]
