# Table 2 of the joint-distribution GAN: SCE on the expressions alone. The paper does
# not state its weights.
_base_ = [
    '../_base_/models/sce_vgg16.py',
    '../_base_/datasets/affectnetbase.py',
    '../_base_/schedules/multitask.py',
    '../_base_/default_runtime.py',
]
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]
test_evaluator = val_evaluator
