_base_ = './rafdb_gaave.py'
# AffectNet has more than 20 times as many images as RAF-DB. The paper states no number
# of epochs. As in ReSup's paper, there are 20, with a learning rate x 0.1 after epochs
# 5 and 10.
param_scheduler = dict(
    _delete_=True, type='MultiStepLR', by_epoch=True, milestones=[5, 10], gamma=0.1
)
train_cfg = dict(max_epochs=20)
auto_scale_lr = dict(base_batch_size=96)
