from .attack import PGD, attack_steps
from .gaave import GAAVE
from .hook import GAAVEHook
from .judgement import Judgement

__all__ = ['GAAVE', 'GAAVEHook', 'Judgement', 'PGD', 'attack_steps']
