# Table 3 with one label set, the first of the three.
_base_ = './jointgan_vgg16_cifar10_multinoise.py'
model = dict(encoder=dict(head=dict(label_sets=[10])))
train_dataloader = dict(
    dataset=dict(
        label_noise=dict(
            _delete_=True,
            type='BernoulliUniformNoise',
            rate=0.2,
            official=True,
            seed=100,
        )
    )
)
