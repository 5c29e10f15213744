from .hooks import (LinearRampHook, RelabelHook, ReproducibilityHook,
                    SafeCheckpointHook, SampleScoresHook, StopOnNaNHook,
                    SummaryHook)
from .optim_wrapper import AutocastOptimWrapper

__all__ = [
    'AutocastOptimWrapper', 'LinearRampHook', 'RelabelHook',
    'ReproducibilityHook', 'SafeCheckpointHook', 'SampleScoresHook',
    'StopOnNaNHook', 'SummaryHook'
]
