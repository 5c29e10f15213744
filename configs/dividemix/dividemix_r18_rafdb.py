_base_ = [
    '../_base_/models/dividemix_r18.py',
    '../_base_/datasets/rafdb_resup.py',
    '../_base_/schedules/rafdb_dividemix.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=64)
