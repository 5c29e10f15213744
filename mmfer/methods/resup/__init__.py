from .resup import ReSup

__all__ = ['ReSup']
