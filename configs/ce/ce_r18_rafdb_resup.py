# Baseline in ReSup's Table 2, with the schedule and augmentation of ReSup.
_base_ = [
    '../_base_/models/ce_r18.py',
    '../_base_/datasets/rafdb_resup.py',
    '../_base_/schedules/rafdb_resup.py',
    '../_base_/default_runtime.py',
]
