# For CPUs: 5,000 images, quarter width, and as many updates of the encoder
# alone as in an epoch of all images.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(
    encoder=dict(
        backbone=dict(base_channels=16),
        head=dict(hidden_dim=128),
        channels_last=True),
    decoder=dict(base_channels=16),
    discriminator=dict(base_channels=16),
    channels_last=True)
train_dataloader = dict(num_workers=0, dataset=dict(indices=5000))
train_cfg = dict(warmup_epochs=10)
