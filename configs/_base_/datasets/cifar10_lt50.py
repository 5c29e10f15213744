_base_ = './cifar10.py'
# GAAVE's CIFAR-10-LT: 5,000 to 100 images per class, 13,996 in all. The paper
# does not state the augmentation, so the config uses the usual crops and flips.
data_preprocessor = dict(
    mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
)
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(dataset=dict(long_tail=50, pipeline=train_pipeline))
