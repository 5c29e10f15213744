# The layers of the joint-distribution GAN's encoder, with one set of labels.
model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(type='PlainVGG16'),
    neck=dict(type='HiddenLayers', hidden_dim=500),
    head=dict(type='SCEHead'),
)
