from .alum_head import ALUMHead
from .mining import mine_adversarial

__all__ = ['ALUMHead', 'mine_adversarial']
