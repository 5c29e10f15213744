_base_ = './alum_r18.py'
# The equations of the paper to the letter, those of the head and of the backbone.
model = dict(head=dict(preset='paper'), latent_compensation=dict(preset='paper'))
