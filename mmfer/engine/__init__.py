from .hooks import (
    LinearRampHook,
    NoiseModelHook,
    PreflightHook,
    RelabelHook,
    ReproducibilityHook,
    SafeCheckpointHook,
    SampleScoresHook,
    StopOnNaNHook,
    SummaryHook,
)
from .optim_wrapper import AutocastOptimWrapper

__all__ = [
    'AutocastOptimWrapper',
    'LinearRampHook',
    'NoiseModelHook',
    'PreflightHook',
    'RelabelHook',
    'ReproducibilityHook',
    'SafeCheckpointHook',
    'SampleScoresHook',
    'StopOnNaNHook',
    'SummaryHook',
]
