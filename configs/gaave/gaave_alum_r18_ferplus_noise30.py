_base_ = ['../alum/alum_r18_ferplus_noise30.py', '../_base_/cleaning/ferplus_open.py']
custom_hooks = [_base_.cleaning]
