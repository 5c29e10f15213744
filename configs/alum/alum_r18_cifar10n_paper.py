_base_ = [
    '../_base_/models/alum_r18_cifar_paper.py',
    '../_base_/datasets/cifar10n.py',
    '../_base_/schedules/cifar_n.py',
    '../_base_/default_runtime.py',
]
