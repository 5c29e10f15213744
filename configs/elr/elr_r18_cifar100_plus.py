_base_ = [
    '../_base_/models/elrplus_r18_cifar.py',
    '../_base_/datasets/cifar100_rul.py',
    '../_base_/schedules/cifar100_elr.py',
    '../_base_/default_runtime.py',
]
# ELR+. Its code has another schedule and less weight decay than that of ELR.
model = dict(beta=0.9, weight=7.0, ramp_steps=40_000, refine_labels=True)
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4))
param_scheduler = dict(milestones=[200], gamma=0.1)
train_cfg = dict(max_epochs=250)
