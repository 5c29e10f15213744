_base_ = [
    '../_base_/models/alum_r50.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb_alum.py',
    '../_base_/default_runtime.py',
]
# Table 2 changes the backbone only: the settings are those of ResNet-18. The paper does
# not name the weights; these are the face-recognition weights of EAC, which the same
# table compares.
train_dataloader = dict(batch_size=128)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader
