# Single task of Table 2: the expressions alone.
_base_ = './jointgan_vgg16_affectnetbase.py'
model = dict(encoder=dict(head=dict(label_sets=[7])))
val_evaluator = [
    dict(type='Accuracy', topk=(1,)),
    dict(type='MeanClassAccuracy'),
    dict(type='RejectionAccuracy'),
]
test_evaluator = val_evaluator
