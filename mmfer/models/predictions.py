"""Predictions of a batch, as tensors and as data samples of mmpretrain."""

from typing import Any, Dict, Mapping, Optional

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor

from mmfer.datasets.batches import SampleBatch, Samples, has_field, stack_field

from .protocols import ScoresLabels


class BatchPrediction:
    """Mixin for heads and models whose ``predict_batch`` returns tensors.

    A subclass implements ``predict_batch``, see
    :class:`~mmfer.models.protocols.PredictsBatch`. This class turns its
    tensors into data samples.

    Name this class before a head of mmpretrain among the bases. Otherwise the
    ``predict`` of that head is used, which returns no ``uncertainty``.

    Raises:
        TypeError: A subclass names its bases in another order.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        first = next(base for base in cls.__mro__ if 'predict' in vars(base))
        if not issubclass(first, BatchPrediction):
            raise TypeError(
                f'{cls.__name__}: {first.__name__} comes before BatchPrediction '
                'among the bases, so its predict() would be used, which returns no '
                'uncertainty. Write BatchPrediction first.'
            )

    def predict_batch(self, inputs: Any) -> Dict[str, Tensor]:
        """See :class:`~mmfer.models.protocols.PredictsBatch`."""
        raise NotImplementedError(
            f'{type(self).__name__} has no predict_batch. Write one that returns a '
            'dict with pred_score, (B, C), and uncertainty, (B,).'
        )

    def predict(self, inputs: Any, data_samples: Optional[Samples] = None) -> Samples:
        """Return the predictions of a batch, which include ``pred_label``.

        Args:
            inputs (Any): See ``predict_batch``.
            data_samples (SampleBatch | Sequence[DataSample | None], optional):
                Samples to add the predictions to. Defaults to new ones.

        Returns:
            SampleBatch | list[DataSample]: See :func:`add_predictions`.
        """
        return add_predictions(self.predict_batch(inputs), data_samples)


def add_predictions(
    predictions: Dict[str, Tensor], data_samples: Optional[Samples] = None
) -> Samples:
    """Add predictions to the samples of a batch.

    Args:
        predictions (dict[str, Tensor]): See
            :class:`~mmfer.models.protocols.PredictsBatch`. The class with the
            largest ``pred_score`` becomes ``pred_label``.
        data_samples (SampleBatch | Sequence[DataSample | None], optional):
            Samples to add to. Defaults to new ones.

    Returns:
        SampleBatch | list[DataSample]: A ``SampleBatch``, which makes data
        samples where somebody reads them. For a list, the same data samples
        with further fields.
    """
    fields = dict(predictions)
    if 'pred_score' in fields:
        fields['pred_label'] = fields['pred_score'].argmax(dim=1)
    if data_samples is None:
        return SampleBatch(fields)
    if isinstance(data_samples, SampleBatch):
        return data_samples.replace(**fields)
    predicted = SampleBatch(fields)
    samples = []
    for sample, prediction in zip(data_samples, predicted, strict=True):
        if sample is None:
            samples.append(prediction)
            continue
        sample.update(prediction)
        samples.append(sample)
    return samples


def predict_batch(model: Any, inputs: Any) -> Dict[str, Tensor]:
    """Predict a batch with any classifier or head.

    Classifiers and heads of mmpretrain return data samples, which are stacked
    here. They have no ``uncertainty``.

    Args:
        model (nn.Module): A classifier, or a head.
        inputs (Any): Prepared images, or the features that the head takes.

    Returns:
        dict[str, Tensor]: See :class:`~mmfer.models.protocols.PredictsBatch`.
    """
    # Skip the data samples, but only if no subclass overrides predict().
    method = getattr(type(model), 'predict', None)
    if method is BatchPrediction.predict:
        return model.predict_batch(inputs)
    if method is ImageClassifier.predict:
        return predict_batch(model.head, model.extract_feat(inputs))
    samples = model.predict(inputs)
    return {
        name: stack_field(samples, name)
        for name in ('pred_score', 'uncertainty', 'pred_va')
        if has_field(samples, name)
    }


def suggest_by_margin(scores: Tensor, labels: Tensor, margin: float = 0.2) -> Tensor:
    """Return the most probable labels, and the given ones where these are close.

    Args:
        scores (Tensor): Probability of each label, (N, C).
        labels (Tensor): Given labels, int64 (N, ).
        margin (float): Another label is suggested if its probability exceeds that of
            the given label by more than this. Defaults to 0.2, as for predictions.

    Returns:
        Tensor: int64 (N, ).
    """
    best, suggested = scores.max(dim=1)
    given = scores.gather(1, labels[:, None])[:, 0]
    return torch.where(best - given > margin, suggested, labels)


def score_labels(
    model: Any, predictions: Mapping[str, Tensor], labels: Tensor
) -> Dict[str, Tensor]:
    """Score given labels by a model's own measure of label noise.

    The model's own method is used if it has one, else that of its head.

    Args:
        model (nn.Module): Any classifier, without a wrapper for DDP.
        predictions (Mapping[str, Tensor]): Predictions of N samples, see
            :class:`~mmfer.models.protocols.ScoresLabels`.
        labels (Tensor): Given labels, int64 (N, ).

    Returns:
        dict[str, Tensor]: Columns of the sample-score table, each (N, ),
        ``noise_score`` among them. Empty if neither model nor head has a
        measure of its own.

    Raises:
        ValueError: A column has another shape, ``noise_score`` is missing, or
            ``suggested_label`` has no class numbers.
    """
    for part in (model, getattr(model, 'head', None)):
        if not isinstance(part, ScoresLabels):
            continue
        columns = part.score_labels(predictions, labels)
        name = type(part).__name__
        if 'noise_score' not in columns:
            raise ValueError(
                f'{name}.score_labels returns {sorted(columns)} without a '
                'noise_score, by which the sample-score table is sorted. Add it: '
                'one number for each label, larger for more suspicious ones.'
            )
        for key, values in columns.items():
            if tuple(values.shape) != (len(labels),):
                raise ValueError(
                    f'{name}.score_labels returns {key!r} of shape '
                    f'{tuple(values.shape)}, but a column has one number for '
                    f'each of the {len(labels)} labels.'
                )
        suggested = columns.get('suggested_label')
        if suggested is not None and suggested.is_floating_point():
            raise ValueError(
                f'{name}.score_labels returns suggested_label of type '
                f'{suggested.dtype}, but classes are whole numbers. Return an int64 '
                'tensor, such as the result of argmax.'
            )
        return columns
    return {}
