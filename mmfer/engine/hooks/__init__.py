from .best_epoch import BestEpochHook
from .checkpoint import SafeCheckpointHook
from .noise_model import NoiseModelHook
from .preflight import PreflightHook
from .ramp import LinearRampHook
from .relabel import RelabelHook
from .reproducibility import ReproducibilityHook
from .sample_scores import SampleScoresHook
from .stage_progress import StageProgressHook
from .stop_on_nan import StopOnNaNHook
from .summary import SummaryHook

__all__ = [
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
