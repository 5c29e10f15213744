_base_ = '../rul/rul_r18_rafdb_noise20.py'
custom_hooks = [dict(type='GAAVEHook')]
