_base_ = [
    '../_base_/models/dmue_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
# A sixth of the epochs, as on AffectNet.
model = dict(head=dict(ramp_epochs=3))
