# CIFAR-10 for the joint-distribution GAN: random crops and flips, RGB, and pixels in
# [-1, 1], as in the images that decoders draw.
_base_ = './cifar10.py'
data_preprocessor = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])

train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='RandomCrop', crop_size=32, padding=4),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_label_sets',)),
]
train_dataloader = dict(
    num_workers=2, drop_last=False, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=250, num_workers=2)
test_dataloader = val_dataloader
