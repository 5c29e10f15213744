_base_ = './rafdb.py'
# FERPlus as in GAAVE's paper: 224 px, tested on the test split. The paper states no
# augmentation, so it is that of RAF-DB.
data_root = 'data/ferplus'
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root))
val_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root, split='test'))
test_dataloader = val_dataloader
