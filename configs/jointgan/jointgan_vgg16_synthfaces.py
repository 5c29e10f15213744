# Networks of a quarter of the width. lambda and warm-up are those of RAF-base. Decoder
# and discriminator have four times the learning rate, and all three networks have
# less momentum. These values were chosen from images of the decoder after a few
# thousand steps.
_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/synthfaces_va.py',
    '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoder=dict(
        backbone=dict(base_channels=16),
        head=dict(label_sets=[7, 'va'], hidden_dim=128),
        channels_last=True,
    ),
    decoder=dict(base_channels=16),
    discriminator=dict(base_channels=16),
    adversarial_weight=1.0,
    channels_last=True,
)
optim_wrapper = dict(
    optimizer=dict(betas=(0.5, 0.999)),
    paramwise_cfg=dict(custom_keys=dict(decoder=dict(lr_mult=4))),
    discriminator=dict(optimizer=dict(lr=4e-4)),
)
train_cfg = dict(warmup_epochs=6)
custom_hooks = [dict(type='JointGANPicturesHook')]
auto_scale_lr = dict(base_batch_size=64)
