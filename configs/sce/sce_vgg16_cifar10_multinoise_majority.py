# Table 1 of the joint-distribution GAN: SCE on the majority labels. Its baselines on
# CIFAR-10 have hidden layers of 512.
_base_ = [
    '../_base_/models/sce_vgg16.py',
    '../_base_/datasets/cifar10_multinoise.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
model = dict(neck=dict(hidden_dim=512))
train_dataloader = dict(dataset=dict(label_noise=dict(majority=True)))
