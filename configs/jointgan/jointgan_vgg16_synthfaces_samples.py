# For good images of the decoder, this config has clean labels, faces that do not blend
# two expressions, and averaged weights. Its discriminator also learns whether labels
# belong to the image (mismatch_weight, not in the paper). The README says in which
# order the model learns.
_base_ = './jointgan_vgg16_synthfaces.py'
model = dict(latent_dim=16, encoder=dict(head=dict(dropout=0.0)), mismatch_weight=1.0)
train_dataloader = dict(dataset=dict(ambiguity=0.0))
val_dataloader = dict(dataset=dict(ambiguity=0.0))
test_dataloader = dict(dataset=dict(ambiguity=0.0))
custom_hooks = [dict(type='JointGANPicturesHook'), dict(type='EMAHook', momentum=0.002)]
train_cfg = dict(warmup_epochs=10, max_epochs=250, val_interval=10)
