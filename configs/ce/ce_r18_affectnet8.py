_base_ = [
    '../_base_/models/ce_r18.py',
    '../_base_/datasets/affectnet8.py',
    '../_base_/schedules/affectnet_resup.py',
    '../_base_/default_runtime.py',
]
