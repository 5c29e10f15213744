"""Read the predictions of a test run from its file."""

import os.path as osp
from typing import Dict, List, NamedTuple, Sequence

import numpy as np

from mmfer.utils.safe_pickle import PickleError, integers, read_arrays

HOW_TO_WRITE = (
    'To write predictions, run: `mmfer test CONFIG CHECKPOINT --out FILE.npz`'
)


class Predictions(NamedTuple):
    """Predictions for N evaluation images.

    Attributes:
        scores (np.ndarray): Probabilities of the classes, (N, C).
        labels (np.ndarray): Labels of the data set, int64 (N,).
        uncertainty (np.ndarray): Larger is less sure, (N,).
        images (list[str]): Paths of the images; empty for images without a file.
        sample_id (np.ndarray): Numbers of the samples in the data set, int64 (N,).
        classes (Sequence[str]): Names of the classes; empty if they are not known.
    """

    scores: np.ndarray
    labels: np.ndarray
    uncertainty: np.ndarray
    images: List[str]
    sample_id: np.ndarray
    classes: Sequence[str] = ()

    @property
    def predicted(self) -> np.ndarray:
        """Predicted labels, int64 (N,)."""
        return self.scores.argmax(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """Mask of the right predictions, bool (N,)."""
        return self.predicted == self.labels

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the predicted class, (N,)."""
        return self.scores.max(axis=1)


def read_predictions(path: str) -> Predictions:
    """Read the predictions of ``mmfer test CONFIG CHECKPOINT --out FILE.npz``.

    Args:
        path (str): File of :class:`~mmfer.evaluation.DumpPredictions`. It is read
            without pickle, so it may come from anywhere.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file has no predictions, or is a pickle.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'{path} does not exist. {HOW_TO_WRITE}')
    if path.endswith(('.pkl', '.pickle')):
        raise ValueError(
            f'{path} is a pickle, which can run code when it is read. Make the '
            f'predictions anew. {HOW_TO_WRITE}'
        )
    try:
        return check_predictions(read_arrays(path))
    except PickleError as error:
        raise ValueError(
            f'{path} has no predictions: {error}. {HOW_TO_WRITE}'
        ) from None


def check_predictions(fields: Dict[str, np.ndarray]) -> Predictions:
    """Check the arrays of a file of predictions.

    Args:
        fields (dict[str, np.ndarray]): Arrays by name, see
            :class:`~mmfer.evaluation.DumpPredictions`.

    Raises:
        PickleError: An array is missing or does not fit.
    """
    for name in ('pred_score', 'gt_label', 'uncertainty'):
        if name not in fields:
            raise PickleError(f'the field {name!r} is missing')
    scores = fields['pred_score']
    if scores.ndim != 2 or not scores.size:
        raise PickleError(f'pred_score has the shape {scores.shape}, not (N, C)')
    count, classes = scores.shape
    labels = integers(fields['gt_label'])
    if labels is None or labels.shape != (count,):
        raise PickleError(f'gt_label are not the labels of {count} images')
    if labels.min() < 0 or labels.max() >= classes:
        raise PickleError(f'gt_label has labels outside of 0 to {classes - 1}')
    numbers = integers(fields.get('sample_id', np.arange(count)))
    images = fields.get('img_path', np.full(count, ''))
    uncertainty = fields['uncertainty']
    if numbers is None:
        raise PickleError('sample_id has entries that are no integers')
    for name, values in dict(
        sample_id=numbers, img_path=images, uncertainty=uncertainty
    ).items():
        if values.size != count:
            raise PickleError(f'{name} does not have one entry for each image')
    for name, values in dict(pred_score=scores, uncertainty=uncertainty).items():
        if values.dtype.kind not in 'iuf' or not np.isfinite(values).all():
            raise PickleError(f'{name} has entries that are no finite numbers')
    names = fields.get('classes', np.array([], 'U1'))
    if images.dtype.kind != 'U' or names.dtype.kind != 'U':
        raise PickleError('img_path or classes has entries that are no texts')
    return Predictions(
        scores=scores.astype(np.float64),
        labels=labels,
        uncertainty=uncertainty.reshape(count).astype(np.float64),
        images=images.reshape(count).tolist(),
        sample_id=numbers.reshape(count),
        classes=names.reshape(-1).tolist(),
    )
