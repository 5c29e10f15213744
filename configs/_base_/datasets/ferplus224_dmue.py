_base_ = './rafdb_dmue.py'
data_root = 'data/ferplus'
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root))
val_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root, split='test'))
test_dataloader = val_dataloader
