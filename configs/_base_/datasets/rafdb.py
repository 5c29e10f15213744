# 224 px with the augmentation of RUL's code, which ALUM also uses: half of the
# images are flipped or get white noise, then a random rectangle is erased. As in the
# code of RUL and ReSup, the last batch of an epoch may be smaller than the others.
data_root = 'data/rafdb'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(3, 224, 224),
    num_classes=7,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

train_pipeline = [
    dict(type='LoadFERImage'),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[
            dict(
                type='RandomChoice',
                transforms=[
                    [dict(type='RandomFlip', prob=1.0, direction='horizontal')],
                    [dict(type='GaussianNoise', variance=30)],
                ],
            )
        ],
    ),
    dict(type='Resize', scale=(224, 224)),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        min_area_ratio=0.02,
        max_area_ratio=0.25,
        mode='const',
        fill_color=(103.53, 116.28, 123.675),
    ),
    dict(type='PackFERInputs'),
]
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(
        type='RAFDB', data_root=data_root, split='train', pipeline=train_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=False,
)
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(
        type='RAFDB', data_root=data_root, split='test', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
