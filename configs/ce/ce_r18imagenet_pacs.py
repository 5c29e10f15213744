_base_ = [
    '../_base_/models/ce_r18imagenet.py',
    '../_base_/datasets/pacs.py',
    '../_base_/schedules/domains_dsu.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=64)
