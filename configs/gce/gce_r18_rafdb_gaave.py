# Table 1 of GAAVE, which does not state the options of this method.
_base_ = '../ce/ce_r18_rafdb_gaave.py'
model = dict(head=dict(type='GCEHead'))
