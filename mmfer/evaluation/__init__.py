"""Metrics for mmengine's evaluators, and the measures that they compute."""

from .evaluator import BatchEvaluator
from .functional import auroc, concordance, mean_class_accuracy, rejection_accuracy
from .metrics import MeanClassAccuracy, RejectionAccuracy, ValenceArousal

__all__ = [
    'BatchEvaluator',
    'MeanClassAccuracy',
    'RejectionAccuracy',
    'ValenceArousal',
    'auroc',
    'concordance',
    'mean_class_accuracy',
    'rejection_accuracy',
]
