_base_ = './multitask.py'
optim_wrapper = dict(constructor='JointGANOptimWrapperConstructor')
train_cfg = dict(
    _delete_=True,
    type='JointGANTrainLoop',
    max_epochs=100,
    val_interval=1,
    warmup_epochs=1,
)
