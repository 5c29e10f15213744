# Host of GAAVE's Table 1.
_base_ = [
    '../_base_/models/ce_r18arm.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb_gaave.py',
    '../_base_/default_runtime.py',
]
