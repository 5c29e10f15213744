_base_ = [
    '../_base_/models/alum_r18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb_alum.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader
