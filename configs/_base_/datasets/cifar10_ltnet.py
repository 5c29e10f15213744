# CIFAR-10 with the three annotators of LTNet: 40, 30 and 20 % of their labels are
# wrong, uniformly over the other classes. Crops and flips are the usual ones.
_base_ = './cifar10_rul.py'
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_label_sets',)),
]
train_dataloader = dict(
    dataset=dict(
        pipeline=train_pipeline,
        label_noise=dict(
            type='Annotators',
            generators=[
                dict(type='SymmetricNoise', rate=0.4, seed=0),
                dict(type='SymmetricNoise', rate=0.3, seed=1),
                dict(type='SymmetricNoise', rate=0.2, seed=2),
            ],
        ),
    )
)
