_base_ = './alum_r18.py'
# Network for grey faces of 44 px: width 32, a 3x3 stem of stride 2, no max-pool.
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNetSmallStem',
        depth=18,
        stem_channels=32,
        base_channels=32,
    ),
    # From scratch and at a high learning rate, the model would minimise raw distances
    # by shrinking all means; see configs/alum/README.md.
    head=dict(triplet_space='unit'),
    channels_last=True,
)
