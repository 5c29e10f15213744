# The encoder of the joint-distribution GAN alone.
model = dict(
    type='FERClassifier',
    backbone=dict(type='PlainVGG16'),
    head=dict(type='MultiTaskHead'))
