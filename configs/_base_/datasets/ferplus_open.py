# Data of the open protocol: arg-max labels, grey centre crops of 44 px, and flips as
# the only augmentation. With it, cross-entropy memorises wrong labels within minutes
# on a CPU.
dataset_type = 'FERPlus'
data_root = 'data/ferplus'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(1, 44, 44),
    num_classes=8,
    mean=[132.4],
    std=[62.5],
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
    batch_size=128,
    num_workers=0,
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=True,
)
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    dataset=dict(
        type=dataset_type, data_root=data_root, split='valid', pipeline=test_pipeline
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
