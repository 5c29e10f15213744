_base_ = [
    '../_base_/models/alum_r18_small_paper.py',
    '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/rafdb_alum.py',
    '../_base_/default_runtime.py',
]
