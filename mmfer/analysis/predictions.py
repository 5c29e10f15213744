"""Read the predictions of a test run from its file."""

import os.path as osp
from typing import List, NamedTuple

import mmengine
import numpy as np


class Predictions(NamedTuple):
    """Predictions for N evaluation images.

    Attributes:
        scores (np.ndarray): Probabilities of the classes, (N, C).
        labels (np.ndarray): Labels of the data set, int64 (N,).
        uncertainty (np.ndarray): Larger is less sure, (N,).
        images (list[str]): Paths of the images; empty for images without a file.
        sample_id (np.ndarray): Numbers of the samples in the data set, int64 (N,).
    """

    scores: np.ndarray
    labels: np.ndarray
    uncertainty: np.ndarray
    images: List[str]
    sample_id: np.ndarray

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
    """Read the predictions of ``tools/test.py CONFIG CHECKPOINT --out FILE.pkl``.

    Args:
        path (str): Pickle file. Pickles can run code, so read only your own.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file has no predictions.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{path} does not exist. To write predictions, run: python '
            'tools/test.py CONFIG CHECKPOINT --out FILE.pkl'
        )
    samples = mmengine.load(path)
    wanted = ('pred_score', 'gt_label', 'uncertainty')
    if (
        not isinstance(samples, list)
        or not samples
        or not isinstance(samples[0], dict)
        or any(name not in samples[0] for name in wanted)
    ):
        raise ValueError(
            f'{path} has no predictions ({", ".join(wanted)} for each '
            'image). To write them, run: python tools/test.py CONFIG CHECKPOINT '
            '--out FILE.pkl'
        )

    def column(name: str) -> np.ndarray:
        return np.stack(
            [
                np.asarray(sample[name], dtype=np.float64).reshape(-1)
                for sample in samples
            ]
        )

    return Predictions(
        scores=column('pred_score'),
        labels=column('gt_label')[:, 0].astype(np.int64),
        uncertainty=column('uncertainty')[:, 0],
        images=[str(sample.get('img_path') or '') for sample in samples],
        sample_id=np.array(
            [sample.get('sample_id', i) for i, sample in enumerate(samples)],
            dtype=np.int64,
        ),
    )
