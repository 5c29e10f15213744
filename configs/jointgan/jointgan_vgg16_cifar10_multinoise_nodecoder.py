# Table 3, w/o G_X.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(use_decoder=False)
