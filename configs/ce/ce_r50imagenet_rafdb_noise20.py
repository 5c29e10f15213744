_base_ = './ce_r50imagenet_rafdb.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.2, seed=0))
)
