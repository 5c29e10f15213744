_base_ = './transition_r18_ferplus_noise30.py'
model = dict(head=dict(correction='backward'))
