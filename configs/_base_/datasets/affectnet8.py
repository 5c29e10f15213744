# 224 px, the augmentation of ReSup's code: flip, a crop from a padded image
# now and then, erasing.
data_root = 'data/affectnet'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(3, 224, 224),
    num_classes=8,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True)

train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandomApply',
        prob=0.2,
        transforms=[dict(type='RandomCrop', crop_size=224, padding=32)]),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        min_area_ratio=0.02,
        max_area_ratio=0.25,
        mode='const',
        fill_color=(103.53, 116.28, 123.675)),
    dict(type='PackFERInputs')
]
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='PackFERInputs')
]
train_dataloader = dict(
    batch_size=96,
    num_workers=4,
    dataset=dict(
        type='AffectNet',
        data_root=data_root,
        split='train',
        num_classes=8,
        pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True)
val_dataloader = dict(
    batch_size=96,
    num_workers=4,
    dataset=dict(
        type='AffectNet',
        data_root=data_root,
        split='val',
        num_classes=8,
        pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [
    dict(type='Accuracy', topk=(1, )),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy')
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
