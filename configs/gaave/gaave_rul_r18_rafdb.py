_base_ = '../rul/rul_r18_rafdb.py'
custom_hooks = [dict(type='GAAVEHook')]
