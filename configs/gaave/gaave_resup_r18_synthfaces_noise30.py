_base_ = '../resup/resup_r18_synthfaces_noise30.py'
custom_hooks = _base_.custom_hooks + [dict(type='GAAVEHook')]
