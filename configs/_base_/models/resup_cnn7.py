_base_ = './dual_cnn7.py'
model = dict(type='ReSup')
