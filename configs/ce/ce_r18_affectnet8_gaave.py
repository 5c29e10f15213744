# Baseline of GAAVE's Table 1.
_base_ = [
    '../_base_/models/ce_r18.py',
    '../_base_/datasets/affectnet8.py',
    '../_base_/schedules/affectnet_gaave.py',
    '../_base_/default_runtime.py',
]
# "Oversampling is used in the AffectNet". Models that look for wrong labels never do.
train_dataloader = dict(sampler=dict(type='BalancedSampler'))
