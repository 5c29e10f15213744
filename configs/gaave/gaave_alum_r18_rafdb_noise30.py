_base_ = '../alum/alum_r18_rafdb_noise30.py'
custom_hooks = [dict(type='GAAVEHook')]
