_base_ = './alum_r50_rafdb.py'
# As in alum_r18_rafdb_paper.py.
model = dict(head=dict(preset='paper'), latent_compensation=dict(preset='paper'))
train_dataloader = dict(drop_last=False)
