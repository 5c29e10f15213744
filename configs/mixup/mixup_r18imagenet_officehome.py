# The papers that print this row do not state alpha. 0.2 is a value for ImageNet.
_base_ = '../ce/ce_r18imagenet_officehome.py'
model = dict(train_cfg=dict(augments=dict(type='Mixup', alpha=0.2)))
