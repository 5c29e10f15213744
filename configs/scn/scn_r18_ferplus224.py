# SCN in ReSup's Tables 1 and 3 and in GAAVE's Table 1, with the settings of SCN's code
# for RAF-DB.
_base_ = [
    '../_base_/models/scn_r18.py',
    '../_base_/datasets/ferplus224.py',
    '../_base_/schedules/scn.py',
    '../_base_/default_runtime.py',
]
