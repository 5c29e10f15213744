# Drawn faces with three annotators, of whose labels 20, 30 and 40 % are wrong.
_base_ = './synthfaces.py'
train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=(48, 48), interpolation='area'),
    dict(type='CenterCrop', crop_size=44),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_label_sets',)),
]
train_dataloader = dict(
    dataset=dict(
        pipeline=train_pipeline,
        label_noise=dict(
            type='Annotators',
            generators=[
                dict(type='SymmetricNoise', rate=0.2, seed=0),
                dict(type='SymmetricNoise', rate=0.3, seed=1),
                dict(type='SymmetricNoise', rate=0.4, seed=2),
            ],
        ),
    )
)
