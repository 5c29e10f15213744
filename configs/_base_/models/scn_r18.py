_base_ = './ce_r18.py'
model = dict(head=dict(_delete_=True, type='SCNHead'))
