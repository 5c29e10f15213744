_base_ = './gce_r34_cifar10.py'
model = dict(head=dict(truncate_from=40))
