_base_ = './ce_cnn7_cifar10.py'
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.5, seed=0))
)
