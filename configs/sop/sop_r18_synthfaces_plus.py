_base_ = [
    '../_base_/models/sopplus_r18_small.py',
    '../_base_/datasets/synthfaces_views.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
