_base_ = '../ce/ce_r18_ferplus.py'
model = dict(head=dict(type='GCEHead'))
