_base_ = './ce_r18.py'
model = dict(type='DMUEClassifier', head=dict(_delete_=True, type='DMUEHead'))
