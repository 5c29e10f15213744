from .jocor import JoCoR

__all__ = ['JoCoR']
