_base_ = './sop_r18_small.py'
model = dict(type='SOPClassifier', head=dict(ratio_balance=0.1, ratio_consistency=0.9))
