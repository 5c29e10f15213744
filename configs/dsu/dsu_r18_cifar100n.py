_base_ = '../ce/ce_r18_cifar100n.py'
model = dict(latent_compensation=dict(type='LatentCompensation'))
