# Optimizer of GAAVE's paper for faces: Adam, learning rate 1e-3, weight decay 1e-5. The
# paper states neither epochs, batch size nor schedule. The others here are those of
# RUL's code: batches of 64, and a learning rate x 0.9 per epoch, for 60 epochs.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-5)
)
param_scheduler = dict(type='ExponentialLR', by_epoch=True, gamma=0.9)
train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
