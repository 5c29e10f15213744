_base_ = './ce_r18_synthfaces.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.1, seed=0))
)
