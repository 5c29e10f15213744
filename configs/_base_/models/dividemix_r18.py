_base_ = './dual_r18.py'
model = dict(type='DivideMix')
