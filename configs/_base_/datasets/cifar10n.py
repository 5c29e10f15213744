_base_ = './cifar10.py'
# The augmentation of CIFAR-N's code: crops from padded images, and flips. The list of
# labels is made by tools/dataset_converters/convert_cifar_n.py from the published file.
data_preprocessor = dict(
    mean=[125.307, 122.961, 113.8575], std=[51.5865, 50.847, 51.255]
)
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    dataset=dict(noisy_list='data/cifar10n/worse_label.txt', pipeline=train_pipeline)
)
