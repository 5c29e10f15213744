from .hooks import (LinearRampHook, NoiseModelHook, RelabelHook,
                    ReproducibilityHook, SafeCheckpointHook, SampleScoresHook,
                    StopOnNaNHook, SummaryHook)
from .optim_wrapper import AutocastOptimWrapper

__all__ = [
    'AutocastOptimWrapper', 'LinearRampHook', 'NoiseModelHook', 'RelabelHook',
    'ReproducibilityHook', 'SafeCheckpointHook', 'SampleScoresHook',
    'StopOnNaNHook', 'SummaryHook'
]
