from .rul_head import RULHead

__all__ = ['RULHead']
