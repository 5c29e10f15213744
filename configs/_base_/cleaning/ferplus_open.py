# GAAVE before a training under the open protocol. That protocol is made to
# memorise; models that judge labels must not. So base models and annotators
# have random crops, weight decay and a short one-cycle rate.
cleaning = dict(
    type='GAAVEHook',
    base=dict(
        train_dataloader=dict(
            dataset=dict(pipeline=[
                dict(type='LoadFERImage', color_type='grayscale'),
                dict(type='RandomCrop', crop_size=44),
                dict(type='RandomFlip', prob=0.5, direction='horizontal'),
                dict(type='PackFERInputs')
            ])),
        optim_wrapper=dict(
            _delete_=True,
            type='AutocastOptimWrapper',
            optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05)),
        param_scheduler=dict(
            _delete_=True,
            type='OneCycleLR',
            eta_max=2e-3,
            total_steps=15,
            convert_to_iter_based=True),
        train_cfg=dict(max_epochs=15)))
