_base_ = './resup_vgg16_rafdb.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0))
)
