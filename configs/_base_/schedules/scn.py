# Schedule of SCN's code: Adam with one learning rate for all layers, x 0.9 per epoch,
# for 70 epochs.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-4)
)
param_scheduler = dict(type='ExponentialLR', by_epoch=True, gamma=0.9)
train_cfg = dict(by_epoch=True, max_epochs=70, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
