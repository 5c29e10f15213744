_base_ = ['../ce/ce_r18_affectnet8_gaave.py', '../_base_/cleaning/paper.py']
custom_hooks = [_base_.cleaning]
