# The recipe of the published code.
_base_ = [
    '../_base_/models/dmue_r18.py',
    '../_base_/datasets/affectnet7_dmue.py',
    '../_base_/schedules/dmue.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(ramp_epochs=6))
