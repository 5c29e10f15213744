from .coteaching import CoTeaching

__all__ = ['CoTeaching']
