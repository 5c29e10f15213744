_base_ = '../ce/ce_r18_rafdb_noise20.py'
custom_hooks = [dict(type='GAAVEHook')]
