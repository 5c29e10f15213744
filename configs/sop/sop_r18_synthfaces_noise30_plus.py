_base_ = './sop_r18_synthfaces_plus.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0))
)
