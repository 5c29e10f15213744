_base_ = './rul_r18.py'
model = dict(
    head=dict(_delete_=True, type='ALUMHead'),
    latent_compensation=dict(type='LatentCompensation'),
)
