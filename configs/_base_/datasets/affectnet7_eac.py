_base_ = './rafdb_eac.py'
# AffectNet without contempt. The authors state a balanced sampler, and not which one.
data_root = 'data/affectnet'
dataset = dict(type='AffectNet', data_root=data_root, num_classes=7)
train_dataloader = dict(dataset=dataset, sampler=dict(type='BalancedSampler'))
val_dataloader = dict(dataset=dict(split='val', **dataset))
test_dataloader = val_dataloader
