_base_ = '../ce/ce_r18_ferplus_noise30.py'
custom_hooks = [dict(type='GAAVEHook')]
