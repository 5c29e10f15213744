_base_ = [
    '../_base_/models/ltnet_r18_small.py',
    '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/ferplus_open.py',
    '../_base_/default_runtime.py',
]
