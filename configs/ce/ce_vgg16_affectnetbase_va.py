# Single task of Table 2 of the joint-distribution GAN: valence and arousal alone.
_base_ = './ce_vgg16_affectnetbase.py'
model = dict(head=dict(label_sets=['va']))
val_evaluator = [dict(type='ValenceArousal')]
test_evaluator = val_evaluator
