_base_ = './dual_r18_small.py'
model = dict(type='DivideMix')
