_base_ = './scn_r18_affectnet7.py'
# SCN in GAAVE's Table 1: AffectNet with contempt.
data_preprocessor = dict(num_classes=8)
train_dataloader = dict(dataset=dict(num_classes=8))
val_dataloader = dict(dataset=dict(num_classes=8))
test_dataloader = val_dataloader
