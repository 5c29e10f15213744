_base_ = [
    '../_base_/models/scn_r18_small.py',
    '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/ferplus_open.py',
    '../_base_/default_runtime.py',
]
# Labels change from the tenth of 24 epochs on, the published number. The learning rate
# drops after the fourteenth.
model = dict(head=dict(relabel_epoch=9))
