_base_ = [
    '../_base_/models/scn_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
# The learning rate drops after 10 of 16 epochs. As in the paper, labels change when two
# thirds of this time are over.
model = dict(head=dict(relabel_epoch=6))
