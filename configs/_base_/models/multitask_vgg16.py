# The encoder of the joint-distribution GAN alone.
model = dict(
    _scope_='mmfer',
    type='FERClassifier',
    backbone=dict(type='PlainVGG16'),
    head=dict(type='MultiTaskHead'),
)
