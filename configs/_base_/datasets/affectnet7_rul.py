_base_ = './rafdb.py'
# AffectNet without contempt, with the augmentation of RUL's code.
data_root = 'data/affectnet'
dataset = dict(type='AffectNet', data_root=data_root, num_classes=7)
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = val_dataloader
