# Schedule of RUL's code: Adam, a tenfold learning rate for the last layer, and a
# learning rate x 0.9 per epoch, for 60 epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=2e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'head.fc': dict(lr_mult=10)}),
)
param_scheduler = dict(type='ExponentialLR', by_epoch=True, gamma=0.9)
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
