_base_ = '../ce/ce_r18imagenet_officehome.py'
model = dict(latent_compensation=dict(type='MixStyle', layers=['layer1', 'layer2']))
