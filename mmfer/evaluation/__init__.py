"""Metrics for mmengine's evaluators, and the measures that they compute."""

from .calibration import (
    apply_temperature,
    fit_temperature,
    quantile_table,
    set_threshold,
)
from .evaluator import BatchEvaluator
from .functional import auroc, concordance, mean_class_accuracy, rejection_accuracy
from .metrics import MeanClassAccuracy, RejectionAccuracy, ValenceArousal
from .predictions import DumpPredictions, check_results_file, dump_predictions
from .selective import augrc, aurc, error_bound, promise_threshold, risk_table
from .strength import Strength, measure_strength

__all__ = [
    'BatchEvaluator',
    'DumpPredictions',
    'MeanClassAccuracy',
    'RejectionAccuracy',
    'Strength',
    'ValenceArousal',
    'apply_temperature',
    'augrc',
    'aurc',
    'auroc',
    'check_results_file',
    'concordance',
    'dump_predictions',
    'error_bound',
    'fit_temperature',
    'mean_class_accuracy',
    'measure_strength',
    'promise_threshold',
    'quantile_table',
    'rejection_accuracy',
    'risk_table',
    'set_threshold',
]
