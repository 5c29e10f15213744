# CIFAR-10 for RUL. Its supplement states no augmentation, so the config uses the usual
# crops and flips. As in RUL's code, the last batch may be smaller than the others.
_base_ = './cifar10.py'
data_preprocessor = dict(
    mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
)
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(drop_last=False, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=250)
test_dataloader = val_dataloader
