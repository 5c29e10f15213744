_base_ = [
    '../_base_/models/scn_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
# The learning rate drops after 10 of 16 epochs. Labels change after two thirds of this
# time, as in scn_r18_ferplus.
model = dict(head=dict(relabel_epoch=6))
