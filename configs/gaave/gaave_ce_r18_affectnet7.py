_base_ = '../ce/ce_r18_affectnet7.py'
custom_hooks = [dict(type='GAAVEHook')]
