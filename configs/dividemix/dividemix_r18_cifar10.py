_base_ = [
    '../_base_/models/dividemix_r18_cifar.py',
    '../_base_/datasets/cifar10_rul.py',
    '../_base_/schedules/cifar_dividemix.py',
    '../_base_/default_runtime.py',
]
# The published weight up to 20 % noise and for asymmetric noise; 25 from 50 % on. Also
# set penalty_weight=1 for asymmetric noise, and threshold=0.6 and average_epochs=5 at
# 90 % noise.
model = dict(warmup_epochs=10, unlabelled_weight=0.0)
# The papers report the mean of the last ten epochs.
default_hooks = dict(summary=dict(last_k=10))
