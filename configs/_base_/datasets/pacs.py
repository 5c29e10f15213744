# 224 px. Half of the images are moved at random, as in the code of DSU and MixStyle.
dataset_type = 'PACS'
data_root = 'data/pacs'
test_domain = 'sketch'
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
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='Resize', scale=(224, 224))],
            [
                dict(type='Resize', scale=(252, 252)),
                dict(type='RandomCrop', crop_size=224),
            ],
        ],
    ),
    dict(type='PackFERInputs'),
]
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        test_domain=test_domain,
        split='train',
        pipeline=train_pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
val_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        test_domain=test_domain,
        split='test',
        pipeline=test_pipeline,
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
