# Both tasks, 32 px, in [-1, 1] as decoders make images.
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(1, 32, 32),
    num_classes=7,
    mean=[127.5],
    std=[127.5])

train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_va', ))
]
test_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='PackFERInputs', algorithm_keys=('gt_va', ))
]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(
        type='SyntheticFaces',
        split='train',
        num_samples=4000,
        size=32,
        pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(
        type='SyntheticFaces',
        split='test',
        num_samples=1000,
        size=32,
        pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [
    dict(type='Accuracy', topk=(1, )),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
    dict(type='ValenceArousal')
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
