# Table 2 of the joint-distribution GAN: Co-teaching on the expressions alone. The paper
# does not state its noise rate, so the rate is estimated.
_base_ = [
    '../_base_/models/coteaching_vgg16.py',
    '../_base_/datasets/rafbase.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
