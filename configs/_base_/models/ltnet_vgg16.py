# The layers of the joint-distribution GAN's encoder.
model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(type='PlainVGG16'),
    neck=dict(type='HiddenLayers', hidden_dim=512),
    head=dict(type='LTNetHead'),
)
