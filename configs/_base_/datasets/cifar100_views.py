_base_ = './cifar10_views.py'
dataset_type = 'NoisyCIFAR100'
data_root = 'data/cifar100'
data_preprocessor = dict(
    num_classes=100, mean=[129.3, 124.1, 112.4], std=[68.2, 65.4, 70.4]
)
train_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
