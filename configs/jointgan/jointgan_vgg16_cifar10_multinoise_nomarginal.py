# Row 'w/o marginal' of Table 3.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(score_weights=dict(image=0, latent=0, labels=0))
