_base_ = [
    '../_base_/models/dividemix_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
# The published warm-up of one epoch has 1000 steps, from ImageNet weights. From random
# weights, one epoch of these few images teaches the networks nothing.
model = dict(warmup_epochs=3)
