# Batches are small because, with few images, more steps give a higher accuracy.
optim_wrapper = dict(
    type='AutocastOptimWrapper', dtype='auto', optimizer=dict(type='Adam', lr=2e-3)
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[10, 14], gamma=0.1
)
train_cfg = dict(by_epoch=True, max_epochs=16, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)
