# Drawn faces with a second view of each: a flip, AutoAugment and cutout.
_base_ = './synthfaces.py'
train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=_base_.image_size[::-1], interpolation='area'),
    dict(type='CenterCrop', crop_size=44),
    dict(
        type='SecondView',
        transforms=[
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='LearnedAugment', policy='cifar10'),
            dict(type='Cutout', shape=16, pad_val=128, prob=1.0),
        ],
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('second_view',)),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
