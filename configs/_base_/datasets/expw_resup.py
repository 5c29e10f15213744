_base_ = './rafdb_resup.py'
# Faces that are cropped by the boxes of ExpW's list, with the augmentation of ReSup's
# code.
data_root = 'data/expw'
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='CropFace'),
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
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='CropFace'),
    dict(type='Resize', scale=(224, 224)),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    dataset=dict(type='ExpW', data_root=data_root, pipeline=train_pipeline)
)
val_dataloader = dict(
    dataset=dict(type='ExpW', data_root=data_root, pipeline=test_pipeline)
)
test_dataloader = val_dataloader
