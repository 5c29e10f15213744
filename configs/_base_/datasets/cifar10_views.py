# Crops and flips for the first view; the second has also AutoAugment and cutout.
_base_ = './cifar10_rul.py'
weak = [
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
]
strong = [
    *weak,
    dict(type='LearnedAugment', policy='cifar10'),
    dict(type='Cutout', shape=16, pad_val=128, prob=1.0),
]
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='SecondView', transforms=strong),
    *weak,
    dict(type='PackFERInputs', algorithm_keys=('second_view',)),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
