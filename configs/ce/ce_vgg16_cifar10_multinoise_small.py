# 5,000 images and quarter width, for CPUs.
_base_ = './ce_vgg16_cifar10_multinoise.py'
model = dict(
    backbone=dict(base_channels=16),
    head=dict(hidden_dim=128),
    channels_last=True)
train_dataloader = dict(num_workers=0, dataset=dict(indices=5000))
