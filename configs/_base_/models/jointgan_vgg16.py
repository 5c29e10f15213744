model = dict(
    _scope_='mmfer',
    type='JointGAN',
    encoder=dict(
        type='FERClassifier',
        backbone=dict(type='PlainVGG16'),
        head=dict(type='MultiTaskHead'),
    ),
)
# With several processes, the networks have gradients at different times.
model_wrapper_cfg = dict(type='SeparateDataParallel', find_unused_parameters=True)
