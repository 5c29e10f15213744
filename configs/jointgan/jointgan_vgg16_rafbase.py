_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/rafbase.py',
    '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoder=dict(head=dict(label_sets=[7, 'va'], hidden_dim=500)),
    adversarial_weight=1.0,
)
train_cfg = dict(warmup_epochs=6)
custom_hooks = [dict(type='JointGANPicturesHook')]
