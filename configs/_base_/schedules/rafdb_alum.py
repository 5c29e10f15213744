_base_ = './rafdb.py'
# ALUM Sec. 4.1: batch 128, learning rates 4e-4 and 4e-3.
optim_wrapper = dict(optimizer=dict(lr=4e-4))
auto_scale_lr = dict(base_batch_size=128)
