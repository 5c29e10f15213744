"""Metrics beside mmpretrain's."""

from typing import List, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmfer.registry import METRICS

from .functional import auroc, concordance, mean_class_accuracy, rejection_accuracy


class _PredictionMetric(BaseMetric):
    """Collects labels, predictions and how sure they were."""

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect one batch."""
        for sample in data_samples:
            score = sample['pred_score']
            confidence = 1 - float(score.max())
            self.results.append(
                (
                    int(sample['gt_label']),
                    int(score.argmax()),
                    float(sample.get('uncertainty', confidence)),
                    confidence,
                )
            )


@METRICS.register_module()
class MeanClassAccuracy(_PredictionMetric):
    """Accuracy averaged over classes, in per cent.

    Classes without a sample are left out.
    """

    default_prefix = 'accuracy'

    def compute_metrics(self, results: List[tuple]) -> dict:
        """``accuracy/mean_class``."""
        labels, predictions = np.array([r[:2] for r in results]).T
        return dict(mean_class=mean_class_accuracy(predictions, labels))


@METRICS.register_module()
class RejectionAccuracy(_PredictionMetric):
    """Accuracy after rejecting the most uncertain predictions, in per cent.

    Reported twice: by the method's own ``uncertainty`` and by one minus the
    largest probability, the line that any classifier gives for nothing.

    Args:
        rates (Sequence[float]): Shares to reject, each in [0, 1).
            Defaults to (0.1, 0.2, 0.3), as in RUL and ALUM.
        **kwargs: See mmengine's ``BaseMetric``.
    """

    default_prefix = 'rejection'

    def __init__(self, rates: Sequence[float] = (0.1, 0.2, 0.3), **kwargs):
        super().__init__(**kwargs)
        if not all(0 <= rate < 1 for rate in rates):
            raise ValueError(f'rates must lie in [0, 1), got {rates}')
        self.rates = tuple(rates)

    def compute_metrics(self, results: List[tuple]) -> dict:
        """``rejection/{uncertainty,confidence}_{per cent}`` and ``_auroc``.

        The last is the AUROC of each against being wrong; it is left out
        when all predictions are right or all are wrong.
        """
        labels, predictions, uncertainty, confidence = np.array(results).T
        correct = labels == predictions
        metrics = {}
        for name, value in (('uncertainty', uncertainty), ('confidence', confidence)):
            for rate in self.rates:
                metrics[f'{name}_{100 * rate:g}'] = rejection_accuracy(
                    correct, value, rate
                )
            area = auroc(value, ~correct)
            if area is not None:
                metrics[f'{name}_auroc'] = area
        return metrics


@METRICS.register_module()
class ValenceArousal(BaseMetric):
    """CCC and mean squared error of valence and arousal.

    Over the whole set, not averaged over batches. Samples that lack one of
    the two are left out.
    """

    default_prefix = 'va'

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect ``pred_va`` and ``gt_va`` of one batch."""
        for sample in data_samples:
            if 'pred_va' not in sample or 'gt_va' not in sample:
                lacking = 'pred_va' if 'pred_va' not in sample else 'gt_va'
                raise ValueError(
                    f'ValenceArousal: samples have no {lacking}. '
                    + (
                        "The model needs a head with 'va' among its label_sets."
                        if lacking == 'pred_va'
                        else "End the pipeline with dict(type='PackFERInputs', "
                        "algorithm_keys=('gt_va', )), on a data set that has "
                        'it.'
                    )
                )
            self.results.append(
                np.stack(
                    [np.asarray(sample['pred_va'].cpu()), np.asarray(sample['gt_va'])]
                )
            )

    def compute_metrics(self, results: List[np.ndarray]) -> dict:
        """``va/ccc``, ``va/mse``: means of ``_valence`` and ``_arousal``."""
        prediction, target = np.stack(results, axis=1).astype(np.float64)
        known = np.isfinite(target).all(axis=1)
        if not known.any():
            raise ValueError(
                'ValenceArousal: not one sample of the '
                'evaluation set has valence and arousal; remove '
                'the metric.'
            )
        prediction, target = prediction[known], target[known]
        measures = dict(
            ccc=concordance(prediction, target),
            mse=((prediction - target) ** 2).mean(axis=0),
        )
        metrics = {}
        for name, values in measures.items():
            metrics[name] = float(values.mean())
            metrics[f'{name}_valence'] = float(values[0])
            metrics[f'{name}_arousal'] = float(values[1])
        return metrics
