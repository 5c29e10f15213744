from .hooks import (
    BestEpochHook,
    LinearRampHook,
    NoiseModelHook,
    PreflightHook,
    RelabelHook,
    ReproducibilityHook,
    SafeCheckpointHook,
    SampleScoresHook,
    StageProgressHook,
    StopOnNaNHook,
    SummaryHook,
)
from .optim_wrapper import AutocastOptimWrapper

__all__ = [
    'AutocastOptimWrapper',
    'BestEpochHook',
    'LinearRampHook',
    'NoiseModelHook',
    'PreflightHook',
    'RelabelHook',
    'ReproducibilityHook',
    'SafeCheckpointHook',
    'SampleScoresHook',
    'StageProgressHook',
    'StopOnNaNHook',
    'SummaryHook',
]
