# The published code starts from the convolution layers of VGG-Face. If you have these
# weights, set model.encoder.backbone.init_cfg=dict(type='Pretrained', ...).
_base_ = [
    '../_base_/models/jointgan_vgg16.py',
    '../_base_/datasets/affectnetbase.py',
    '../_base_/schedules/jointgan.py',
    '../_base_/default_runtime.py',
]
model = dict(
    encoder=dict(head=dict(label_sets=[7, 'va'], hidden_dim=500)),
    adversarial_weight=0.4,
)
train_cfg = dict(warmup_epochs=0)
custom_hooks = [dict(type='JointGANPicturesHook')]
