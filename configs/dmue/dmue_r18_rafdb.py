# The published recipe for AffectNet, with the ramp for RAF-DB.
_base_ = [
    '../_base_/models/dmue_r18.py',
    '../_base_/datasets/rafdb_dmue.py',
    '../_base_/schedules/dmue.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(ramp_epochs=9))
