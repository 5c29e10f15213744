# Two networks with the layers of the joint-distribution GAN's encoder. Each starts from
# its own random weights.
model = dict(
    _scope_='mmfer',
    type='CoTeaching',
    network1=dict(
        type='FERClassifier',
        backbone=dict(type='PlainVGG16'),
        head=dict(type='SingleTaskHead', hidden_dim=500),
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
