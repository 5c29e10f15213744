_base_ = [
    '../_base_/models/alum_r18_paper.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb_alum.py',
    '../_base_/default_runtime.py',
]
# The paper states the batch size. The layers of the head, dropout, augmentation, the
# decay of the learning rate and the incomplete last batch are those of RUL's code.
train_dataloader = dict(batch_size=128, drop_last=False)
val_dataloader = dict(batch_size=128)
test_dataloader = val_dataloader
