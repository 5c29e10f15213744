from .checkpoint import SafeCheckpointHook
from .label_noise import LabelNoiseHook
from .ramp import LinearRampHook
from .relabel import RelabelHook
from .reproducibility import ReproducibilityHook
from .sample_scores import SampleScoresHook
from .stop_on_nan import StopOnNaNHook
from .summary import SummaryHook

__all__ = [
    'LabelNoiseHook', 'LinearRampHook', 'RelabelHook', 'ReproducibilityHook',
    'SafeCheckpointHook', 'SampleScoresHook', 'StopOnNaNHook', 'SummaryHook'
]
