_base_ = ['../ce/ce_r18_ferplus.py', '../_base_/cleaning/ferplus_open.py']
custom_hooks = [_base_.cleaning]
