_base_ = './rafdb.py'
# The augmentation of ReSup's code: flips, crops from padded images with probability
# 0.2, and random erasing.
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='RandomApply',
        prob=0.2,
        transforms=[dict(type='RandomCrop', crop_size=224, padding=32)],
    ),
    dict(
        type='RandomErasing',
        erase_prob=0.5,
        min_area_ratio=0.02,
        max_area_ratio=0.25,
        mode='const',
        fill_color=(103.53, 116.28, 123.675),
    ),
    dict(type='PackFERInputs'),
]
# ReSup's code keeps the last incomplete batch.
train_dataloader = dict(
    batch_size=96, drop_last=False, dataset=dict(pipeline=train_pipeline)
)
