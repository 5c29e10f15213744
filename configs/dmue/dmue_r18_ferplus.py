_base_ = [
    '../_base_/models/dmue_r18_small.py',
    '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/ferplus_open.py',
    '../_base_/default_runtime.py',
]
# A sixth of the epochs, as on AffectNet.
model = dict(head=dict(ramp_epochs=4))
