_base_ = './cifar10n.py'
dataset_type = 'NoisyCIFAR100'
data_root = 'data/cifar100'
data_preprocessor = dict(
    num_classes=100, mean=[129.2895, 124.134, 112.455], std=[68.1615, 65.3055, 70.329]
)
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        noisy_list='data/cifar100n/noisy_label.txt',
    )
)
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
test_dataloader = val_dataloader
