_base_ = './ce_r18_cifar.py'
model = dict(head=dict(_delete_=True, type='SCNHead'))
