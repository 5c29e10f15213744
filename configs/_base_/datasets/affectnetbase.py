# AffectNet-base. The classes come from a model that was trained on RAF-DB, in a
# table that tools/machine_labels.py writes. Valence and arousal are those of
# AffectNet. The pipeline is that of RAF-base.
_base_ = './rafbase.py'
data_root = 'data/affectnet'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='AffectNet',
        data_root=data_root,
        split='train',
        num_classes=7,
        table='data/affectnetbase/labels.csv',
        pipeline={{_base_.train_pipeline}},
    )
)
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackFERInputs', algorithm_keys=('gt_va',)),
]
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='AffectNet',
        data_root=data_root,
        split='val',
        num_classes=7,
        pipeline=test_pipeline,
    )
)
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
    dict(type='ValenceArousal'),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
