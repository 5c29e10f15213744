from .functional import auroc, mean_class_accuracy, rejection_accuracy
from .metrics import MeanClassAccuracy, RejectionAccuracy

__all__ = [
    'MeanClassAccuracy', 'RejectionAccuracy', 'auroc', 'mean_class_accuracy',
    'rejection_accuracy'
]
