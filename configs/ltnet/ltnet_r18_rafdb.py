_base_ = '../ce/ce_r18_rafdb.py'
model = dict(head=dict(_delete_=True, type='LTNetHead'))
