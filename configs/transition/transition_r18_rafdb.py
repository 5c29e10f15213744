_base_ = '../ce/ce_r18_rafdb.py'
model = dict(head=dict(type='TransitionHead'))
