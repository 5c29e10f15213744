# Networks for grey faces of 44 px: width 32, a 3x3 stem of stride 2, no max-pool. Both
# have the same architecture, and each starts from its own random weights.
model = dict(
    _scope_='mmfer',
    type='DualNetwork',
    network1=dict(
        type='FERClassifier',
        backbone=dict(
            type='ResNetSmallStem', depth=18, stem_channels=32, base_channels=32
        ),
        neck=dict(type='FeaturePooling'),
        head=dict(type='CEHead'),
        channels_last=True,
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
