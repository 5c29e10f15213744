# For 44 px grey faces: width 32, a 3x3 stem of stride 2, no max-pool. Both
# networks have the same architecture and start from random weights of their own.
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
