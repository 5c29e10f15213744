# The setting of the published code for partners of another domain: batches of 64
# images of each of two domains, 150 epochs.
_base_ = './mixstyle_r18imagenet_pacs.py'
model = dict(latent_compensation=dict(mix='crossdomain'))
train_dataloader = dict(
    batch_size=128, sampler=dict(_delete_=True, type='DomainSampler', batch_size=128)
)
param_scheduler = dict(T_max=150)
train_cfg = dict(max_epochs=150)
auto_scale_lr = dict(base_batch_size=128)
