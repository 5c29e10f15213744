_base_ = '../ce/ce_r18_affectnet8.py'
custom_hooks = [dict(type='GAAVEHook')]
