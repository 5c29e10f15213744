# Schedule of ELR's code for CIFAR-10 with symmetric noise: SGD, and a cosine from 0.02
# to 0.001 in every 10 of 150 epochs.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-3),
)
param_scheduler = dict(
    type='CosineRestartLR',
    by_epoch=True,
    periods=[10] * 15,
    restart_weights=[1] * 15,
    eta_min=1e-3,
)
train_cfg = dict(by_epoch=True, max_epochs=150, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
