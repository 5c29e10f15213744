# MNIST without augmentation: the supplement of RUL states none.
data_root = 'data/mnist'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(1, 28, 28),
    num_classes=10,
    mean=[33.3],
    std=[78.6],
)

image_size = (28, 28)
pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    # All images of MNIST have this size. Others may have another one.
    dict(type='Resize', scale=image_size, interpolation='area'),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    dataset=dict(
        type='NoisyMNIST', data_root=data_root, split='train', pipeline=pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=False,
)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(
        type='NoisyMNIST', data_root=data_root, split='test', pipeline=pipeline
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
