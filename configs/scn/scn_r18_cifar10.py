# SCN in the supplement of RUL, with the settings of RUL's rows.
_base_ = [
    '../_base_/models/scn_r18_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/rul_scratch.py',
    '../_base_/default_runtime.py',
]
# The relabelling of RUL's rows begins before epoch 100 of 250 (0-based). Labels that
# SCN changes in one epoch are used from the next one on.
model = dict(head=dict(relabel_epoch=99))
