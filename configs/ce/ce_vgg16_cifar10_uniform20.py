# Table 3 of the joint-distribution GAN, one label set.
_base_ = './ce_vgg16_cifar10.py'
train_dataloader = dict(
    dataset=dict(
        label_noise=dict(
            type='BernoulliUniformNoise', rate=0.2, official=True, seed=100
        )
    )
)
