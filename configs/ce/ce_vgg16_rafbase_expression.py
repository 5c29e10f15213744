# Single task of Table 2 of the joint-distribution GAN: the expressions alone.
_base_ = './ce_vgg16_rafbase.py'
model = dict(head=dict(label_sets=[7]))
