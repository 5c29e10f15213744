_base_ = './ce_r18_ferplus_noise30.py'
# This config is not part of the open protocol. Its short, strongly regularised
# schedule leads to little memorisation, so it is a hard baseline for robust methods.
train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='RandomCrop', crop_size=44),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.05)
)
param_scheduler = dict(
    _delete_=True,
    type='OneCycleLR',
    eta_max=2e-3,
    total_steps=15,
    convert_to_iter_based=True,
)
train_cfg = dict(max_epochs=15)
