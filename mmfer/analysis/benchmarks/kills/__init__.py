"""Kill training runs, resume them, and compare what comes out bit for bit."""

from .campaign import FIELDS, Campaign, summarize
from .plan import HALF, KINDS
from .tiny_runs import METHODS

__all__ = ['FIELDS', 'HALF', 'KINDS', 'METHODS', 'Campaign', 'summarize']
