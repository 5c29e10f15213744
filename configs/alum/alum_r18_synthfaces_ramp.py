_base_ = './alum_r18_synthfaces.py'
# See alum_r18_rafdb_ramp.py.
custom_hooks = [
    dict(type='LinearRampHook', attribute='head.mine_ratio', end=0.2, epochs=16)
]
