# RAF-base: RAF-DB with classes, valence and arousal from a model that was trained on
# AffectNet. The labels come from tools/machine_labels.py or from the published files.
# The paper aligns the original images by the eyes; this config uses the released
# aligned images. Images have 64 px, BGR channels and pixels in [-1, 1]. The
# augmentation is one affine warp and a flip.
data_root = 'data/rafdb'
data_preprocessor = dict(
    type='FERDataPreprocessor',
    input_shape=(3, 64, 64),
    num_classes=7,
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    to_rgb=False,
)

train_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(64, 64)),
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomAffine',
        degrees=10,
        translate=(10 / 64, 10 / 64),
        scale=(0.9, 1.1),
        interpolation='bilinear',
    ),
    dict(type='PILToNumpy'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_va',)),
]
test_pipeline = [
    dict(type='LoadFERImage'),
    dict(type='Resize', scale=(64, 64)),
    dict(type='PackFERInputs'),
]
train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    dataset=dict(
        type='RAFDB',
        data_root=data_root,
        split='train',
        noisy_list='data/rafbase/labels.txt',
        label_base=1,
        va_list='data/rafbase/va.txt',
        pipeline=train_pipeline,
    ),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=4,
    dataset=dict(
        type='RAFDB', data_root=data_root, split='test', pipeline=test_pipeline
    ),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
# The test set of RAF-DB has no valence and arousal.
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
