# Schedule of SCE's published code in PyTorch on CIFAR-10: SGD for 120 epochs, with a
# tenth of the learning rate from epochs 40 and 80 on. The code of the authors also
# divides the learning rate by 1 + 1e-4 per step, and regularises only the first dense
# layer.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-2),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[40, 80], gamma=0.1
)
train_cfg = dict(by_epoch=True, max_epochs=120, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
