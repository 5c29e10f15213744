_base_ = [
    '../_base_/models/elrplus_r18_small.py',
    '../_base_/datasets/synthfaces.py',
    '../_base_/schedules/synthfaces.py',
    '../_base_/default_runtime.py',
]
# ELR+. The momentum has its full value after half of the 2,000 steps.
model = dict(momentum_steps=1000)
