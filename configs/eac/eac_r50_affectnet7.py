_base_ = [
    '../_base_/models/eac_r50.py',
    '../_base_/datasets/affectnet7_eac.py',
    '../_base_/schedules/rafdb_eac.py',
    '../_base_/default_runtime.py',
]
