_base_ = './mixup_r18imagenet_pacs.py'
model = dict(train_cfg=dict(_delete_=True, augments=dict(type='CutMix', alpha=1.0)))
