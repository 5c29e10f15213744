# With the optimizer, learning rate and batch size of DSU's code.
_base_ = [
    '../_base_/models/alum_r18imagenet_paper.py',
    '../_base_/datasets/officehome.py',
    '../_base_/schedules/domains_dsu.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=64)
