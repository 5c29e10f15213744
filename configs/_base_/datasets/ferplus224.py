_base_ = './rafdb.py'
# FERPlus at 224 px with the augmentation of RUL's code, tested on the test split.
data_root = 'data/ferplus'
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root))
val_dataloader = dict(dataset=dict(type='FERPlus', data_root=data_root, split='test'))
test_dataloader = val_dataloader
