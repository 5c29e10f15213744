_base_ = './rafdb_resup.py'
# FERPlus as in ReSup's paper: 224 px, tested on the test split. The open protocol
# (ferplus_open.py) has 44 px, and leaves the test split alone.
data_root = 'data/ferplus'
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root))
val_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root, split='test'))
test_dataloader = val_dataloader
