from .ce_head import CEHead

__all__ = ['CEHead']
