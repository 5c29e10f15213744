_base_ = ['../ce/ce_manet_ferplus224_gaave.py', '../_base_/cleaning/paper.py']
custom_hooks = [_base_.cleaning]
