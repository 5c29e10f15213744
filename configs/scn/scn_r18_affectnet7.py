# SCN in ReSup's Table 1 and in GAAVE's Table 1, with the settings of SCN's code for
# RAF-DB.
_base_ = [
    '../_base_/models/scn_r18.py',
    '../_base_/datasets/affectnet7_rul.py',
    '../_base_/schedules/scn.py',
    '../_base_/default_runtime.py',
]
# SCN's paper oversamples rare classes on AffectNet.
train_dataloader = dict(sampler=dict(type='BalancedSampler'))
