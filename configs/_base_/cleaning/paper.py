# The letter of GAAVE's paper, for all of its tables.
cleaning = dict(type='GAAVEHook', preset='paper')
