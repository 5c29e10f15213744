"""Train loops that resume inside an epoch, and end in order on a signal."""

from .epoch_loop import ResumableEpochLoop
from .exchange import make_resumable
from .iter_loop import ResumableIterLoop
from .position import ResumableLoop, any_process, inside_epoch, resumable_loop

__all__ = [
    'ResumableEpochLoop',
    'ResumableIterLoop',
    'ResumableLoop',
    'any_process',
    'inside_epoch',
    'make_resumable',
    'resumable_loop',
]
