_base_ = [
    '../_base_/models/ltnet_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
