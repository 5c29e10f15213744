# For CPUs: 5,000 images and networks of a quarter of the width. The warm-up of the
# encoder has as many updates as one epoch on all images.
_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/cifar10_multinoise_small.py',
    '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoder=dict(
        backbone=dict(base_channels=16),
        head=dict(label_sets=[10, 10, 10], hidden_dim=128),
        channels_last=True,
    ),
    decoder=dict(base_channels=16),
    discriminator=dict(base_channels=16),
    channels_last=True,
)
custom_hooks = [dict(type='JointGANPicturesHook')]
train_cfg = dict(max_epochs=150, val_interval=5, warmup_epochs=5)
auto_scale_lr = dict(base_batch_size=64)
