_base_ = './ce_r18_ferplus.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.2, seed=0))
)
