_base_ = './ce_r18_small.py'
model = dict(head=dict(_delete_=True, type='LTNetHead'))
