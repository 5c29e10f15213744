_base_ = './ce_vgg16_synthfaces.py'
train_dataloader = dict(
    dataset=dict(
        label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0),
        va_noise=dict(type='GaussianVANoise', std=0.3, seed=0),
    )
)
