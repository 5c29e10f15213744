_base_ = './ce_r18_cifar.py'
model = dict(
    type='SOPClassifier',
    head=dict(_delete_=True, type='SOPHead', ratio_balance=0.1, ratio_consistency=0.9),
)
