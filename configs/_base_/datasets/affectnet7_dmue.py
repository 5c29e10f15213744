_base_ = './affectnet8_dmue.py'
# AffectNet without the class contempt, which is the last one.
data_preprocessor = dict(num_classes=7)
train_dataloader = dict(dataset=dict(num_classes=7))
val_dataloader = dict(dataset=dict(num_classes=7))
test_dataloader = val_dataloader
