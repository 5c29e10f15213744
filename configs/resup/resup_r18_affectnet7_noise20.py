_base_ = './resup_r18_affectnet7.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.2, seed=0))
)
