_base_ = '../rul/rul_r18_ferplus_noise30.py'
custom_hooks = [dict(type='GAAVEHook')]
