_base_ = '../ce/ce_r18_ferplus.py'
model = dict(latent_compensation=dict(type='LatentCompensation'))
