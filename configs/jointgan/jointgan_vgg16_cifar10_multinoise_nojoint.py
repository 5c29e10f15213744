# Table 3, w/o joint.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(score_weights=dict(joint=0))
