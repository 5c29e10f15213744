# The frozen memorising schedule: Adam, x 0.1 at 60 % and 85 % of 24 epochs.
# Found with plain cross-entropy alone; every method is compared under it.
optim_wrapper = dict(type='AutocastOptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[14, 20], gamma=0.1
)
train_cfg = dict(by_epoch=True, max_epochs=24, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
