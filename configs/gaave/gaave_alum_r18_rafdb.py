_base_ = '../alum/alum_r18_rafdb.py'
custom_hooks = [dict(type='GAAVEHook')]
