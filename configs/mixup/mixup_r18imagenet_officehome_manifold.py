_base_ = '../ce/ce_r18imagenet_officehome.py'
model = dict(latent_compensation=dict(type='ManifoldMixup'))
