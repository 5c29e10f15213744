# Row 'w/o joint' of Table 3.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(score_weights=dict(joint=0))
