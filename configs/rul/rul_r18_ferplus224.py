# RUL in ReSup's Table 1, with the settings of RUL.
_base_ = [
    '../_base_/models/rul_r18.py',
    '../_base_/datasets/ferplus224.py',
    '../_base_/schedules/rafdb.py',
    '../_base_/default_runtime.py',
]
