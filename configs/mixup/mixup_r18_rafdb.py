_base_ = '../ce/ce_r18_rafdb.py'
model = dict(
    latent_compensation=dict(type='ManifoldMixup', layers=['input'], alpha=1.0)
)
