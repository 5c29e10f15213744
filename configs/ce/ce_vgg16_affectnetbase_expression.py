# Single task of Table 2 of the joint-distribution GAN: the expressions alone.
_base_ = './ce_vgg16_affectnetbase.py'
model = dict(head=dict(label_sets=[7]))
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]
test_evaluator = val_evaluator
