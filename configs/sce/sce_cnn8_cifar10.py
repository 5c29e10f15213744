# The 8-layer CNN of the paper: six convolutions and two dense layers.
_base_ = [
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/cifar_sce.py',
    '../_base_/default_runtime.py',
]
model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(type='CNN7', channels=(64, 64, 128, 128, 196, 196)),
    neck=dict(
        type='HiddenLayers', hidden_dim=256, num_layers=1, batch_norm=True, dropout=0.0
    ),
    head=dict(type='SCEHead', preset='reproduction'),
)
