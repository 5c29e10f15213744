_base_ = './ltnet_r18_synthfaces.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0))
)
