_base_ = '../rul/rul_r18_rafdb_noise10.py'
custom_hooks = [dict(type='GAAVEHook')]
