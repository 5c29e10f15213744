_base_ = '../ce/ce_r18_ferplus_noise30.py'
model = dict(head=dict(type='TransitionHead'))
