# ResNet-34 of the published code in PyTorch, with the weights of the paper; in that
# code beta is 1. The code of the authors has a ResNet of 44 layers.
_base_ = [
    '../_base_/models/ce_r18_cifar.py',
    '../_base_/datasets/cifar100_rul.py',
    '../_base_/schedules/cifar_sce.py',
    '../_base_/default_runtime.py',
]
model = dict(
    backbone=dict(depth=34),
    head=dict(type='SCEHead', preset='reproduction', alpha=6.0, beta=0.1),
)
param_scheduler = dict(milestones=[80, 120])
train_cfg = dict(max_epochs=150)
