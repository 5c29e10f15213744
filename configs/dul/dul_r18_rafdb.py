# DUL in RUL's comparison, with the network and the schedule of RUL.
_base_ = [
    '../_base_/models/dul_r18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb.py',
    '../_base_/default_runtime.py',
]
