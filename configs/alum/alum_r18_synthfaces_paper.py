_base_ = [
    '../_base_/models/alum_r18_small_paper.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/rafdb_alum.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=128)
