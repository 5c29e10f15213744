_base_ = [
    '../_base_/models/ce_r18.py', '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/ferplus_open.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNetSmallStem',
        depth=18,
        stem_channels=32,
        base_channels=32),
    channels_last=True)
