_base_ = './ce_r18_small.py'
model = dict(type='DMUEClassifier', head=dict(_delete_=True, type='DMUEHead'))
