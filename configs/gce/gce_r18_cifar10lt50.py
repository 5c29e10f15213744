# Table 2 of GAAVE, which does not state the options of this method.
_base_ = '../ce/ce_r18_cifar10lt50.py'
model = dict(head=dict(type='GCEHead'))
