# Baseline of jointgan_vgg16_cifar10_multinoise_small: the same encoder with the same
# number of updates on the same images.
_base_ = [
    '../_base_/models/multitask_vgg16.py',
    '../_base_/datasets/cifar10_multinoise_small.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(base_channels=16),
    head=dict(label_sets=[10, 10, 10], hidden_dim=128),
    channels_last=True,
)
train_cfg = dict(max_epochs=150, val_interval=5)
auto_scale_lr = dict(base_batch_size=64)
