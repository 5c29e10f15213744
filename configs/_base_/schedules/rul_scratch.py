# Schedule of RUL's supplement, Sec. E, for networks without pretraining: SGD, a
# learning rate x 0.9 after every 5 epochs from epoch 80 on, 250 epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=list(range(80, 250, 5)), gamma=0.9
)
train_cfg = dict(by_epoch=True, max_epochs=250, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
