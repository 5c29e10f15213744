# Row 'w/o G_X' of Table 3.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(use_decoder=False)
