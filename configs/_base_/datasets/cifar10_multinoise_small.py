# For CPUs: 5,000 images in smaller batches. There is no augmentation, because it
# would delay memorisation for too many epochs.
_base_ = './cifar10_multinoise.py'
train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='PackFERInputs', algorithm_keys=('gt_label_sets',)),
]
train_dataloader = dict(
    batch_size=64, num_workers=0, dataset=dict(indices=5000, pipeline=train_pipeline)
)
