# Schedule of SOP+ for CIFAR: SGD, and a cosine from 0.02 to 0.0002 in 300 epochs.
_base_ = './cifar_sop.py'
param_scheduler = dict(
    _delete_=True, type='CosineAnnealingLR', by_epoch=True, T_max=300, eta_min=2e-4
)
train_cfg = dict(max_epochs=300)
