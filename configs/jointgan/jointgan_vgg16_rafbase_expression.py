# Single task of Table 2: the expressions alone.
_base_ = './jointgan_vgg16_rafbase.py'
model = dict(encoder=dict(head=dict(label_sets=[7])))
