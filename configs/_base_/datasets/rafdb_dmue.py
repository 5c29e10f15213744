_base_ = './rafdb.py'
# DMUE's code: crops of 224 from 256 px, flips, white noise for a quarter of the images,
# and random erasing. Classes are drawn equally often, because a class with a single
# image in a batch has no soft label. The options of the erasing are those of RUL, and
# tests take the centre crop.
data_preprocessor = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(256, 256)),
    dict(type='RandomCrop', crop_size=224),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandomApply',
        prob=0.25,
        transforms=[dict(type='GaussianNoise', variance=30)],
    ),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        min_area_ratio=0.02,
        max_area_ratio=0.25,
        mode='const',
        fill_color=(127.5, 127.5, 127.5),
    ),
    dict(type='PackFERInputs'),
]
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(256, 256)),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=72,
    dataset=dict(pipeline=train_pipeline),
    sampler=dict(type='BalancedSampler'),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
