# Drawn faces of 32 px for both tasks, classes and valence with arousal. Pixels are in
# [-1, 1], as in the images that decoders draw.
_base_ = './synthfaces.py'
data_preprocessor = dict(input_shape=(1, 32, 32), std=[127.5])
image_size = (32, 32)

train_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=image_size[::-1], interpolation='area'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackFERInputs', algorithm_keys=('gt_va',)),
]
test_pipeline = [
    dict(type='LoadFERImage', color_type='grayscale'),
    dict(type='Resize', scale=image_size[::-1], interpolation='area'),
    dict(type='PackFERInputs', algorithm_keys=('gt_va',)),
]
train_dataloader = dict(batch_size=64, dataset=dict(size=32, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(size=32, pipeline=test_pipeline))
val_evaluator = _base_.val_evaluator + [dict(type='ValenceArousal')]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
