# FER2013 as in the supplement of RUL, Sec. E: grey images of 48 px, random crops of
# 44 px, and flips. Runs are validated on the public test images, with a centre crop.
# Test on the private ones, with the average of ten crops: mmfer test ... --tta
data_root = 'data/fer2013'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(1, 44, 44),
    num_classes=7,
    mean=[129.5],
    std=[65.0],
)

loading = [
    dict(type='LoadFERImage', color_type='grayscale'),
    # All images of FER2013 have this size. Others may have another one.
    dict(type='Resize', scale=(48, 48), interpolation='area'),
]
train_pipeline = [
    *loading,
    dict(type='RandomCrop', crop_size=44),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
test_pipeline = [
    *loading,
    dict(type='CenterCrop', crop_size=44),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    dataset=dict(
        type='FER2013', data_root=data_root, split='train', pipeline=train_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
    drop_last=False,
)
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    dataset=dict(
        type='FER2013', data_root=data_root, split='valid', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = dict(
    batch_size=256,
    num_workers=0,
    dataset=dict(
        type='FER2013', data_root=data_root, split='test', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]
test_evaluator = val_evaluator

# The four corners, the centre, and the mirror images of these crops.
tta_model = dict(type='AverageUncertaintyTTA', average='logits')
tta_pipeline = [
    *loading,
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='CornerCrop', crop_size=44, corner='top_left'),
                dict(type='CornerCrop', crop_size=44, corner='top_right'),
                dict(type='CornerCrop', crop_size=44, corner='bottom_left'),
                dict(type='CornerCrop', crop_size=44, corner='bottom_right'),
                dict(type='CenterCrop', crop_size=44),
            ],
            [
                dict(type='RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='horizontal'),
            ],
            [dict(type='PackFERInputs')],
        ],
    ),
]
