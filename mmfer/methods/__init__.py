from .alum import ALUMHead
from .ce import CEHead
from .coteaching import CoTeaching
from .gaave import GAAVE, PGD, GAAVEHook
from .jocor import JoCoR
from .jointgan import JointGAN
from .resup import ReSup
from .rul import RULHead

__all__ = [
    'ALUMHead',
    'CEHead',
    'CoTeaching',
    'GAAVE',
    'GAAVEHook',
    'JoCoR',
    'JointGAN',
    'PGD',
    'RULHead',
    'ReSup',
]
