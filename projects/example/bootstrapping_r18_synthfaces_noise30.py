_base_ = '../../configs/ce/ce_r18_synthfaces.py'
# Importing the module registers the head.
custom_imports = dict(
    imports=['projects.example.bootstrapping'], allow_failed_imports=False
)
model = dict(head=dict(type='BootstrappingHead', beta=0.95))
train_dataloader = dict(
    dataset=dict(label_noise=dict(type='SymmetricNoise', rate=0.3, seed=0))
)
