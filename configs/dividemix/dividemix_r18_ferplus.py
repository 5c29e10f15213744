_base_ = [
    '../_base_/models/dividemix_r18_small.py',
    '../_base_/datasets/ferplus_open.py',
    '../_base_/schedules/ferplus_open.py',
    '../_base_/default_runtime.py',
]
# The published warm-up of one epoch has 1000 steps, from ImageNet weights. Here an
# epoch has 222, and the networks start from random weights.
model = dict(warmup_epochs=3)
