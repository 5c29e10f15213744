# The papers that print this row do not state alpha. 0.2 is a value for ImageNet.
_base_ = '../ce/ce_r18imagenet_officehome.py'
model = dict(
    latent_compensation=dict(type='ManifoldMixup', layers=['input'], alpha=0.2)
)
