# For the looks of what the decoder makes: correct labels, faces that are no
# blends, and a discriminator that learns to look at whether labels belong to
# the image (mismatch_weight, not in the paper).
_base_ = './jointgan_vgg16_synthfaces.py'
model = dict(
    latent_dim=16,
    encoder=dict(head=dict(dropout=0.)),
    mismatch_weight=2.)
train_dataloader = dict(dataset=dict(ambiguity=0.))
val_dataloader = dict(dataset=dict(ambiguity=0.))
test_dataloader = dict(dataset=dict(ambiguity=0.))
train_cfg = dict(max_epochs=150, val_interval=10)
