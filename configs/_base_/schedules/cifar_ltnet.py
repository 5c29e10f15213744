# Schedule of LTNet for CIFAR, of each stage: SGD with Nesterov momentum, a rate of 0.01
# that falls to 0 with power 1.5, and 50,000 iterations, which are 128 epochs of 391.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4),
)
param_scheduler = dict(
    type='PolyLR', power=1.5, by_epoch=True, end=128, convert_to_iter_based=True
)
train_cfg = dict(by_epoch=True, max_epochs=128, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
