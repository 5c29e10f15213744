_base_ = './gce_r18_synthfaces_noise30.py'
# Fitted to 16 epochs: as on CIFAR-10, the truncation starts after a third of them.
model = dict(head=dict(truncate_from=5, refresh_interval=2))
