"""Metrics that mmpretrain does not have."""

from typing import List, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmfer.datasets.batches import SampleBatch
from mmfer.registry import METRICS
from mmfer.utils.checks import in_range

from .functional import auroc, concordance, mean_class_accuracy, rejection_accuracy
from .selective import augrc, aurc


class _PredictionMetric(BaseMetric):
    """Base of metrics that collect labels, predictions and uncertainties."""

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect the predictions of one batch."""
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

    def process_batch(self, samples: SampleBatch) -> None:
        """Collect the predictions of a batch on the CPU."""
        scores = samples.pred_score
        confidence = (1 - scores.double().amax(dim=1)).tolist()
        self.results += zip(
            samples.gt_label.tolist(),
            scores.argmax(dim=1).tolist(),
            samples.uncertainty.tolist() if 'uncertainty' in samples else confidence,
            confidence,
            strict=True,
        )


@METRICS.register_module()
class MeanClassAccuracy(_PredictionMetric):
    """Mean of the accuracies of the classes, in per cent.

    Classes without a sample do not count.
    """

    default_prefix = 'accuracy'

    def compute_metrics(self, results: List[tuple]) -> dict:
        """Compute ``accuracy/mean_class``."""
        labels, predictions = np.array([r[:2] for r in results]).T
        return dict(mean_class=mean_class_accuracy(predictions, labels))


@METRICS.register_module()
class RejectionAccuracy(_PredictionMetric):
    """Accuracy after rejecting the most uncertain predictions, in per cent.

    It is reported for two uncertainties: the method's own ``uncertainty``, and
    one minus the largest probability, a baseline that every classifier has.

    Args:
        rates (Sequence[float]): Shares to reject, each in [0, 1). Defaults to
            (0.1, 0.2, 0.3), as in RUL and ALUM.
        **kwargs: See mmengine's ``BaseMetric``.
    """

    default_prefix = 'rejection'

    def __init__(self, rates: Sequence[float] = (0.1, 0.2, 0.3), **kwargs):
        super().__init__(**kwargs)
        self.rates = tuple(
            in_range(self, 'rates', rate, 0, 1, open_high=True) for rate in rates
        )

    def compute_metrics(self, results: List[tuple]) -> dict:
        """Compute ``rejection/{uncertainty,confidence}_{per cent}``.

        ``rejection/{uncertainty,confidence}_auroc`` is the area under the ROC
        curve for detecting wrong predictions. It is missing if all
        predictions are right, or all are wrong. ``..._aurc`` and ``..._augrc``
        are areas under the curves of the risk over the coverage, see
        :func:`~.selective.aurc` and :func:`~.selective.augrc`.
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
            metrics[f'{name}_aurc'] = aurc(correct, value)
            metrics[f'{name}_augrc'] = augrc(correct, value)
        return metrics


@METRICS.register_module()
class ValenceArousal(BaseMetric):
    """Concordance correlation coefficient and MSE of valence and arousal.

    Both are computed over the whole set, not averaged over batches. Samples
    without valence or arousal do not count.
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
                        "algorithm_keys=('gt_va', )), and use a data set that "
                        'has it.'
                    )
                )
            self.results.append(
                np.stack(
                    [np.asarray(sample['pred_va'].cpu()), np.asarray(sample['gt_va'])]
                )
            )

    def compute_metrics(self, results: List[np.ndarray]) -> dict:
        """Compute ``va/ccc`` and ``va/mse``.

        Each is the mean over valence and arousal. The two values are returned
        too, under the names with ``_valence`` and ``_arousal`` at the end.
        """
        prediction, target = np.stack(results, axis=1).astype(np.float64)
        known = np.isfinite(target).all(axis=1)
        if not known.any():
            raise ValueError(
                'ValenceArousal: no sample of the evaluation set has valence '
                'and arousal; remove the metric.'
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
