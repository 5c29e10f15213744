_base_ = './ce_r18_cifar10lt50.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0))
)
