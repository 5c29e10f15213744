# Baseline of configs/jointgan: the same encoder on both tasks, without the GAN.
_base_ = [
    '../_base_/models/multitask_vgg16.py',
    '../_base_/datasets/synthfaces_va.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(base_channels=16),
    head=dict(label_sets=[7, 'va'], hidden_dim=128),
    channels_last=True,
)
auto_scale_lr = dict(base_batch_size=64)
