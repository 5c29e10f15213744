# Two networks with JoCoR's CNN; each starts from random weights of its own.
model = dict(
    _scope_='mmfer',
    type='DualNetwork',
    network1=dict(
        type='FERClassifier', backbone=dict(type='CNN7'), head=dict(type='CEHead')
    ),
)
custom_hooks = [dict(type='NoiseModelHook')]
