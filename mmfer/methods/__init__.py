from .alum import ALUMHead
from .ce import CEHead
from .coteaching import CoTeaching
from .gaave import PGD
from .jocor import JoCoR
from .resup import ReSup
from .rul import RULHead

__all__ = [
    'ALUMHead', 'CEHead', 'CoTeaching', 'JoCoR', 'PGD', 'RULHead', 'ReSup'
]
