# Crops and flips, in [-1, 1] as decoders make images; RGB.
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(3, 32, 32),
    num_classes=10,
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    to_rgb=True)

train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_label_sets', ))
]
test_pipeline = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    dataset=dict(
        type='NoisyCIFAR10',
        data_root='data/cifar10',
        split='train',
        cache_images=True,
        pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=250,
    num_workers=2,
    dataset=dict(
        type='NoisyCIFAR10',
        data_root='data/cifar10',
        split='test',
        cache_images=True,
        pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = [
    dict(type='Accuracy', topk=(1, )),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy')
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
