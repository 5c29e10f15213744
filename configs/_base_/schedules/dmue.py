# Schedule of DMUE's code for AffectNet: Adam, 36 epochs, and a table of learning rates
# for the classifiers and one for the rest. Both rise again for some epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=10, schedule='head')}),
)
param_scheduler = dict(
    type='GroupStepLR',
    by_epoch=True,
    steps=dict(
        default=[(0, 1.0), (6, 0.5), (12, 0.1), (22, 0.5), (25, 0.1)],
        head=[(0, 1.0), (4, 0.5), (8, 0.1), (14, 0.01), (22, 0.05), (25, 0.01)],
    ),
)
train_cfg = dict(by_epoch=True, max_epochs=36, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=72)
