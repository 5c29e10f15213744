_base_ = '../resup/resup_r18_rafdb.py'
custom_hooks = _base_.custom_hooks + [dict(type='GAAVEHook')]
