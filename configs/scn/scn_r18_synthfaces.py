_base_ = [
    '../_base_/models/scn_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(relabel_epoch=1))
