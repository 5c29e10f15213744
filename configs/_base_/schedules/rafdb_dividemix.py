# Schedule of DivideMix's code on Clothing1M: SGD for 80 epochs, with a tenth of the
# learning rate from epoch 40 on. Its batches have 32 labelled and 32 unlabelled images,
# and 64 images in the warm-up. Its epochs are 1000 steps; here they are passes over the
# training set.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=2e-3, momentum=0.9, weight_decay=1e-3),
)
param_scheduler = dict(type='MultiStepLR', by_epoch=True, milestones=[40], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=80, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
