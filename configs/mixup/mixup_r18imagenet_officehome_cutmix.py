_base_ = '../ce/ce_r18imagenet_officehome.py'
model = dict(train_cfg=dict(augments=dict(type='CutMix', alpha=1.0)))
