# Schedule of JoCoR's code with Adam. From epoch 80 of 200 on, the learning rate falls
# linearly to 0, and the first momentum (beta 1) is 0.1.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(
        type='LinearLR',
        by_epoch=True,
        begin=80,
        end=201,
        start_factor=1.0,
        end_factor=0.0,
    ),
    dict(type='MultiStepMomentum', by_epoch=True, milestones=[80], gamma=1 / 9),
]
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=128)
