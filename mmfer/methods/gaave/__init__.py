from .attack import PGD, attack_steps
from .gaave import GAAVE
from .hook import GAAVEHook
from .label_decisions import LabelDecisions

__all__ = ['GAAVE', 'GAAVEHook', 'LabelDecisions', 'PGD', 'attack_steps']
