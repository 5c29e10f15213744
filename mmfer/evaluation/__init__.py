"""Metrics for mmengine's evaluators, and the measures that they compute."""

from .evaluator import BatchEvaluator
from .functional import auroc, concordance, mean_class_accuracy, rejection_accuracy
from .metrics import MeanClassAccuracy, RejectionAccuracy, ValenceArousal
from .predictions import DumpPredictions, check_results_file, dump_predictions
from .strength import Strength, measure_strength

__all__ = [
    'BatchEvaluator',
    'DumpPredictions',
    'MeanClassAccuracy',
    'RejectionAccuracy',
    'Strength',
    'ValenceArousal',
    'auroc',
    'check_results_file',
    'concordance',
    'dump_predictions',
    'mean_class_accuracy',
    'measure_strength',
    'rejection_accuracy',
]
