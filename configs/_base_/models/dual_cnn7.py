# Two networks with JoCoR's CNN. Each starts from its own random weights.
model = dict(
    _scope_='mmfer',
    type='DualNetwork',
    network1=dict(
        type='FERClassifier', backbone=dict(type='CNN7'), head=dict(type='CEHead')
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
