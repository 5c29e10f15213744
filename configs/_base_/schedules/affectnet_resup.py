_base_ = './rafdb_resup.py'
# ReSup Sec. 4.2 for AffectNet: learning rate x 0.1 after epochs 5 and 10 of 20.
param_scheduler = dict(type='MultiStepLR', by_epoch=True, milestones=[5, 10], gamma=0.1)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
