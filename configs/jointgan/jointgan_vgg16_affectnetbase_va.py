# Single task of Table 2: valence and arousal alone.
_base_ = './jointgan_vgg16_affectnetbase.py'
model = dict(encoder=dict(head=dict(label_sets=['va'])))
val_evaluator = [dict(type='ValenceArousal')]
test_evaluator = val_evaluator
