# Schedule of EAC's code for ResNet-50: Adam, learning rate 1e-4 x 0.9 per epoch, the
# same for all layers, weight decay 1e-4, for 60 epochs.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, weight_decay=1e-4)
)
param_scheduler = dict(type='ExponentialLR', by_epoch=True, gamma=0.9)
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)
