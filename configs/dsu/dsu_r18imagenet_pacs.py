_base_ = '../ce/ce_r18imagenet_pacs.py'
model = dict(latent_compensation=dict(type='LatentCompensation'))
