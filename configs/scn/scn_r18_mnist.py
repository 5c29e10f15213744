# SCN in the supplement of RUL, with the settings of RUL's rows. The first labels
# change before the eleventh epoch, as theirs do.
_base_ = [
    '../_base_/models/scn_r18_cifar.py',
    '../_base_/datasets/mnist.py',
    '../_base_/schedules/rul_mnist.py',
    '../_base_/default_runtime.py',
]
