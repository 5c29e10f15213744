# The published code. Its augmentation is that of RUL's code.
_base_ = [
    '../_base_/models/scn_r18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/scn.py',
    '../_base_/default_runtime.py',
]
