# The paper has no faces. Data and schedule are those of RUL's code; the options are
# those for CIFAR-10.
_base_ = [
    '../_base_/models/sop_r18.py',
    '../_base_/datasets/rafdb.py',
    '../_base_/schedules/rafdb.py',
    '../_base_/default_runtime.py',
]
