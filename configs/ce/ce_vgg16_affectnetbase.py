# Multi-task baseline of the joint-distribution GAN.
_base_ = [
    '../_base_/models/multitask_vgg16.py',
    '../_base_/datasets/affectnetbase.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
model = dict(head=dict(label_sets=[7, 'va'], hidden_dim=500))
