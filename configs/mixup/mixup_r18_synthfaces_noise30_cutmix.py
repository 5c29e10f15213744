# Half of the batches, as in the settings of CutMix for CIFAR.
_base_ = './mixup_r18_synthfaces_noise30.py'
model = dict(train_cfg=dict(augments=dict(type='CutMix'), probs=0.5))
