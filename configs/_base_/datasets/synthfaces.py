data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(1, 44, 44),
    num_classes=7,
    mean=[127.5],
    std=[63.75],
)

# Height and width to which faces are resized first.
image_size = (48, 48)

train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=image_size[::-1], interpolation='area'),
    dict(type='CenterCrop', crop_size=44),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
test_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=image_size[::-1], interpolation='area'),
    dict(type='CenterCrop', crop_size=44),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    dataset=dict(
        type='SyntheticFaces', split='train', num_samples=4000, pipeline=train_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(
        type='SyntheticFaces', split='test', num_samples=1000, pipeline=test_pipeline
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
