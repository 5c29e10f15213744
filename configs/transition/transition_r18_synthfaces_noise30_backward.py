_base_ = './transition_r18_synthfaces_noise30.py'
model = dict(head=dict(correction='backward'))
