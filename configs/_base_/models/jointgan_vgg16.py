model = dict(
    type='JointGAN',
    encoder=dict(
        type='FERClassifier',
        backbone=dict(type='PlainVGG16'),
        head=dict(type='MultiTaskHead')))
