from .attack import PGD, attack_steps

__all__ = ['PGD', 'attack_steps']
