_base_ = '../ce/ce_r18_rafdb.py'
custom_hooks = [dict(type='GAAVEHook')]
