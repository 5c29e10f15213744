# Options of GAAVE under the open protocol. Models memorise under this protocol, but
# models that decide about labels must not memorise. So base models and annotators
# use random crops and rotations, Mixup, weight decay and a one-cycle learning rate.
cleaning = dict(
    type='GAAVEHook',
    # Training stops five epochs after the best epoch, as in the reported results.
    patience=5,
    base=dict(
        model=dict(train_cfg=dict(augments=dict(type='Mixup', alpha=0.2))),
        train_dataloader=dict(
            dataset=dict(
                pipeline=[
                    dict(type='LoadFERImage', color_type='grayscale'),
                    dict(type='Resize', scale=(48, 48), interpolation='area'),
                    dict(
                        type='Rotate',
                        angle=12.0,
                        prob=0.7,
                        random_negative_prob=0.5,
                        pad_val=0,
                        interpolation='bilinear',
                    ),
                    dict(type='RandomCrop', crop_size=44),
                    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
                    dict(type='PackFERInputs'),
                ]
            )
        ),
        optim_wrapper=dict(
            _delete_=True,
            type='AutocastOptimWrapper',
            optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
        ),
        param_scheduler=dict(
            _delete_=True,
            type='OneCycleLR',
            eta_max=2e-3,
            total_steps=30,
            convert_to_iter_based=True,
        ),
        train_cfg=dict(max_epochs=30),
    ),
)
