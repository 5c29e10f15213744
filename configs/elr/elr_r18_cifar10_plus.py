_base_ = [
    '../_base_/models/elrplus_r18_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/cifar10_elr.py',
    '../_base_/default_runtime.py',
]
# ELR+. Its code has another schedule and less weight decay than that of ELR.
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4))
param_scheduler = dict(
    _delete_=True, type='MultiStepLR', by_epoch=True, milestones=[150], gamma=0.1
)
train_cfg = dict(max_epochs=200)
