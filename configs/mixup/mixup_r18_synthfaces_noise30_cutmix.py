# Half of the batches, as in the settings of CutMix for CIFAR.
_base_ = '../ce/ce_r18_synthfaces_noise30.py'
model = dict(train_cfg=dict(augments=dict(type='CutMix', alpha=1.0), probs=0.5))
