# GAAVE before a training on CIFAR. Table 2 of its paper fits base models "as
# closely as possible", for all 200 epochs.
cleaning = dict(type='GAAVEHook', fit='full')
