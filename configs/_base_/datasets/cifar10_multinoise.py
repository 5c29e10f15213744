# The three annotators of the joint-distribution GAN, drawn as in its code. They
# replace each label with probability 0.2, 0.3 and 0.4 by a random class. This can
# be the same class, so 18, 27 and 36 % of the labels are wrong.
_base_ = './cifar10_gan.py'
train_dataloader = dict(
    dataset=dict(
        label_noise=dict(
            type='Annotators',
            generators=[
                dict(type='BernoulliUniformNoise', rate=0.2, official=True, seed=100),
                dict(
                    type='BernoulliUniformNoise',
                    rate=0.3,
                    official=True,
                    preceding_rates=[0.2],
                    seed=100,
                ),
                dict(
                    type='BernoulliUniformNoise',
                    rate=0.4,
                    official=True,
                    preceding_rates=[0.2, 0.3],
                    seed=100,
                ),
            ],
        )
    )
)
