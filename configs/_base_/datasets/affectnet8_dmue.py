_base_ = './rafdb_dmue.py'
data_root = 'data/affectnet'
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='AffectNet',
        data_root=data_root,
        split='train',
        num_classes=8,
        pipeline={{_base_.train_pipeline}},
    )
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='AffectNet',
        data_root=data_root,
        split='val',
        num_classes=8,
        pipeline={{_base_.test_pipeline}},
    )
)
test_dataloader = val_dataloader
