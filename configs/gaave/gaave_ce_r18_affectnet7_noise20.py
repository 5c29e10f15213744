_base_ = '../ce/ce_r18_affectnet7_noise20.py'
custom_hooks = [dict(type='GAAVEHook')]
