# FERPlus as in GAAVE's paper: 224 px, tested on the test split. The paper states no
# augmentation, so it is that of RUL's code.
_base_ = './ferplus224.py'
