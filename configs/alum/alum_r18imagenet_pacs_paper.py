# "The same settings as in Sec. 4.1" of the paper. Weights of ImageNet and augmentation
# are those of the protocol that it follows.
_base_ = [
    '../_base_/models/alum_r18imagenet_paper.py',
    '../_base_/datasets/pacs.py',
    '../_base_/schedules/rafdb_alum.py',
    '../_base_/default_runtime.py',
]
