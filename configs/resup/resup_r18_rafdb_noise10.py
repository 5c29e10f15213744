_base_ = './resup_r18_rafdb.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.1, seed=0))
)
