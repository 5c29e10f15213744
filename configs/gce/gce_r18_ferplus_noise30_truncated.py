_base_ = './gce_r18_ferplus_noise30.py'
# Fitted to 24 epochs: as on CIFAR-10, the truncation starts after a third of them, and
# samples are chosen anew after each twelfth.
model = dict(head=dict(truncate_from=8, refresh_interval=2))
