"""Hooks, optimizer wrappers, a visualizer, and helpers for running models."""

from .hooks.best_epoch import BestEpochHook
from .hooks.checkpoint import SafeCheckpointHook
from .hooks.compile import CompileHook
from .hooks.console import ConsoleHook
from .hooks.deferred_info import DeferredInfoHook
from .hooks.image_store import ImageStoreHook
from .hooks.noise_model import NoiseModelHook
from .hooks.predictions import PredictionsHook
from .hooks.preflight import PreflightHook
from .hooks.provenance import ProvenanceHook
from .hooks.ramp import LinearRampHook
from .hooks.relabel import RelabelHook
from .hooks.reproducibility import ReproducibilityHook
from .hooks.sample_scores import SampleScoresHook
from .hooks.sample_state import SampleStateHook
from .hooks.stage_progress import StageProgressHook
from .hooks.stop_on_nan import StopOnNaNHook
from .hooks.summary import SummaryHook
from .hooks.work_dir import WorkDirHook
from .optim_wrapper import AutocastOptimWrapper
from .step_schedule import GroupStepLR
from .visualizer import LazyVisualizer

__all__ = [
    'AutocastOptimWrapper',
    'BestEpochHook',
    'CompileHook',
    'ConsoleHook',
    'DeferredInfoHook',
    'GroupStepLR',
    'ImageStoreHook',
    'LazyVisualizer',
    'LinearRampHook',
    'NoiseModelHook',
    'PredictionsHook',
    'PreflightHook',
    'ProvenanceHook',
    'RelabelHook',
    'ReproducibilityHook',
    'SafeCheckpointHook',
    'SampleScoresHook',
    'SampleStateHook',
    'StageProgressHook',
    'StopOnNaNHook',
    'SummaryHook',
    'WorkDirHook',
]
