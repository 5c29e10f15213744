_base_ = './gce_r34_cifar100.py'
model = dict(head=dict(truncate_from=80))
