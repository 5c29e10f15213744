from .attack import PGD, attack_steps
from .gaave import GAAVE, Judgement
from .hook import GAAVEHook

__all__ = ['GAAVE', 'GAAVEHook', 'Judgement', 'PGD', 'attack_steps']
