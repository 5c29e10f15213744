_base_ = [
    '../_base_/models/dividemix_r18_cifar.py',
    '../_base_/datasets/cifar100_rul.py',
    '../_base_/schedules/cifar_dividemix.py',
    '../_base_/default_runtime.py',
]
# The published weight up to 20 % noise; 150 from 50 % on. The published runs at 90 %
# also have a threshold of 0.6 and average the losses of 5 epochs (average_epochs).
model = dict(warmup_epochs=30, unlabelled_weight=25.0)
# The papers report the mean of the last ten epochs.
default_hooks = dict(summary=dict(last_k=10))
