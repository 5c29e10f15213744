from .alum import ALUMHead
from .ce import CEHead
from .rul import RULHead

__all__ = ['ALUMHead', 'CEHead', 'RULHead']
