_base_ = '../ce/ce_r18_cifar10n.py'
model = dict(latent_compensation=dict(type='LatentCompensation'))
