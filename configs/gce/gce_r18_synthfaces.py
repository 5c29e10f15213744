_base_ = '../ce/ce_r18_synthfaces.py'
model = dict(head=dict(type='GCEHead'))
