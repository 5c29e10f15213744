# Table 1 of GAAVE. The paper does not say which noise rate it tells Co-teaching, so the
# rate is estimated.
_base_ = [
    '../_base_/models/coteaching_r18.py',
    '../_base_/datasets/ferplus224_gaave.py',
    '../_base_/schedules/rafdb_gaave.py',
    '../_base_/default_runtime.py',
]
