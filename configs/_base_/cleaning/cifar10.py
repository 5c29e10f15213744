# Options of GAAVE on CIFAR. For Table 2 of its paper, base models are fitted "as
# closely as possible", so they train for all 200 epochs.
cleaning = dict(type='GAAVEHook', fit='full')
