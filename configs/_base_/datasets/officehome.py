_base_ = './pacs.py'
dataset_type = 'OfficeHome'
data_root = 'data/officehome'
test_domain = 'clipart'
data_preprocessor = dict(num_classes=65)
train_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, test_domain=test_domain)
)
val_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, test_domain=test_domain)
)
test_dataloader = val_dataloader
