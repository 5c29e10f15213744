model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(type='CNN7'),
    head=dict(type='CEHead'),
)
