# Optimizer of the joint-distribution GAN, for its baselines. The paper does not state
# the number of epochs.
optim_wrapper = dict(
    type='AutocastOptimWrapper', dtype='auto', optimizer=dict(type='Adam', lr=1e-4)
)
param_scheduler = None
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
