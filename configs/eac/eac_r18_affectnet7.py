_base_ = [
    '../_base_/models/eac_r18.py',
    '../_base_/datasets/affectnet7_eac.py',
    '../_base_/schedules/rafdb_eac.py',
    '../_base_/default_runtime.py',
]
# The authors' advice for ResNet-18 is twice the learning rate of ResNet-50.
optim_wrapper = dict(optimizer=dict(lr=2e-4))
