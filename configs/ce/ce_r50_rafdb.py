_base_ = [
    '../_base_/models/ce_r50.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb.py',
    '../_base_/default_runtime.py',
]
# The settings of EAC with this backbone.
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
auto_scale_lr = dict(base_batch_size=32)
