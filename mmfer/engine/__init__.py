from .hooks import (LabelNoiseHook, LinearRampHook, RelabelHook,
                    ReproducibilityHook, SafeCheckpointHook, SampleScoresHook,
                    StopOnNaNHook, SummaryHook)
from .optim_wrapper import AutocastOptimWrapper

__all__ = [
    'AutocastOptimWrapper', 'LabelNoiseHook', 'LinearRampHook', 'RelabelHook',
    'ReproducibilityHook', 'SafeCheckpointHook', 'SampleScoresHook',
    'StopOnNaNHook', 'SummaryHook'
]
