_base_ = [
    '../_base_/models/scn_r18_small.py',
    '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/ferplus_open.py',
    '../_base_/default_runtime.py',
]
# Labels change from the tenth of 24 epochs on, as published. This is before the first
# drop of the learning rate, after epoch 14. In the paper that drop is after epoch 15.
model = dict(head=dict(relabel_epoch=9))
