# The small model that comes with the package. With width 28, its weights take less
# than 5 MB in half precision. A tenth of the training images is held out for
# thresholds of the uncertainty.
_base_ = './alum_r18_ferplus.py'
# This uncertainty is the best one on the held-out images; see README.md.
model = dict(
    backbone=dict(stem_channels=28, base_channels=28),
    head=dict(uncertainty='confidence'),
)
train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(
        type='Rotate',
        angle=12.0,
        prob=0.7,
        random_negative_prob=0.5,
        pad_val=0,
        interpolation='bilinear',
    ),
    dict(type='RandomCrop', crop_size=44),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(dataset=dict(indices=25338, pipeline=train_pipeline))
optim_wrapper = dict(
    _delete_=True,
    type='AutocastOptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
)
param_scheduler = dict(
    _delete_=True,
    type='OneCycleLR',
    eta_max=2e-3,
    total_steps=40,
    convert_to_iter_based=True,
)
train_cfg = dict(max_epochs=40)
