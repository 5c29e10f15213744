# As in JoCoR's code, pixels are scaled to [0, 1], and there is no augmentation.
dataset_type = 'NoisyCIFAR10'
data_root = 'data/cifar10'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(3, 32, 32),
    num_classes=10,
    mean=[0.0, 0.0, 0.0],
    std=[255.0, 255.0, 255.0],
    to_rgb=True,
)

image_size = (32, 32)
pipeline = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train', pipeline=pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    dataset=dict(
        type=dataset_type, data_root=data_root, split='test', pipeline=pipeline
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
