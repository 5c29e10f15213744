# Quarter width, the discriminator half of that; the rest as for RAF-base.
_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/synthfaces_va.py', '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py'
]
model = dict(
    encoder=dict(
        backbone=dict(base_channels=16),
        head=dict(label_sets=[7, 'va'], hidden_dim=128),
        channels_last=True),
    decoder=dict(base_channels=16),
    discriminator=dict(base_channels=8),
    adversarial_weight=1.0,
    channels_last=True)
train_cfg = dict(warmup_epochs=6)
custom_hooks = [dict(type='JointGANPicturesHook')]
auto_scale_lr = dict(base_batch_size=64)
