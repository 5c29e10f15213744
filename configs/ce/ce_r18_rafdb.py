_base_ = [
    '../_base_/models/ce_r18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb.py',
    '../_base_/default_runtime.py',
]
