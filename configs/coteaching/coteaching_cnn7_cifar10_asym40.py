_base_ = './coteaching_cnn7_cifar10.py'
# Truck to automobile, bird to airplane, cat and dog to each other, deer to
# horse.
train_dataloader = dict(
    dataset=dict(
        label_noise=dict(
            type='AsymmetricNoise',
            rate=0.4,
            mapping=[(9, 1), (2, 0), (3, 5), (5, 3), (4, 7)],
            seed=0,
        )
    )
)
# The share of wrong labels: half of the classes have them. It is what the
# authors give, too.
model = dict(noise_rate=0.2)
