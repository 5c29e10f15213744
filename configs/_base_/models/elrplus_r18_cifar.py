_base_ = './coteaching_r18_cifar.py'
model = dict(type='ELRPlus')
