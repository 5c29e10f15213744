_base_ = [
    '../_base_/models/resup_r18.py',
    '../_base_/datasets/ferplus224_resup.py',
    '../_base_/schedules/rafdb_resup.py',
    '../_base_/default_runtime.py',
]
