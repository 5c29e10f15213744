_base_ = './dul_r18.py'
# Network for grey faces of 44 px: width 32, a 3x3 stem of stride 2, no max-pool.
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNetSmallStem',
        depth=18,
        stem_channels=32,
        base_channels=32,
    ),
    channels_last=True,
)
