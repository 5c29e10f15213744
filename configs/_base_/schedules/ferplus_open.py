# Schedule of the open protocol, under which models memorise: Adam, learning rate
# x 0.1 at 60 % and 85 % of 24 epochs. It was chosen with cross-entropy alone. All
# methods are compared under it, so it must not be changed.
optim_wrapper = dict(type='AutocastOptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[14, 20], gamma=0.1
)
train_cfg = dict(by_epoch=True, max_epochs=24, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
