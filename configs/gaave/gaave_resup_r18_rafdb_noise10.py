_base_ = '../resup/resup_r18_rafdb_noise10.py'
custom_hooks = _base_.custom_hooks + [dict(type='GAAVEHook')]
