# Table 2 of the joint-distribution GAN: SCE on the expressions alone. The paper does
# not state its weights.
_base_ = [
    '../_base_/models/sce_vgg16.py',
    '../_base_/datasets/rafbase.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
