# Options of --clean gaave on CIFAR: base models train for the whole schedule, as in
# GAAVE's paper. All of the paper's choices are in paper.py.
cleaning = dict(type='GAAVEHook', fit='full')
