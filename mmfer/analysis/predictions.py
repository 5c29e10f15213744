"""What a test run predicted, read back from its dump."""

import os.path as osp
from typing import List, NamedTuple, Optional

import mmengine
import numpy as np


class Predictions(NamedTuple):
    """Of N evaluation images.

    Attributes:
        scores (np.ndarray): Probabilities of the classes, (N, C).
        labels (np.ndarray): True labels, int64 (N, ).
        uncertainty (np.ndarray): Larger is less sure, (N, ).
        images (list[str]): Paths; '' where there is no file.
        sample_id (np.ndarray): Rows of the data set, int64 (N, ).
    """

    scores: np.ndarray
    labels: np.ndarray
    uncertainty: np.ndarray
    images: List[str]
    sample_id: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Labels, int64 (N, )."""
        return self.scores.argmax(axis=1)

    @property
    def correct(self) -> np.ndarray:
        """Bool (N, )."""
        return self.predicted == self.labels

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the predicted class, (N, )."""
        return self.scores.max(axis=1)


def read_predictions(path: str) -> Predictions:
    """Read what ``tools/test.py CONFIG CHECKPOINT --out FILE.pkl`` wrote.

    Args:
        path (str): The file. Like all pickles it may run code: read only
            your own.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is something else.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{path} is not there; python tools/test.py CONFIG CHECKPOINT '
            '--out FILE.pkl writes predictions.'
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
            f'{path} holds no predictions (of {", ".join(wanted)} for each '
            'image); python tools/test.py CONFIG CHECKPOINT --out FILE.pkl '
            'writes them.'
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


def class_names(classes: Optional[List[str]], count: int) -> List[str]:
    """Names, or numbers where there are none."""
    return list(classes) if classes else [str(k) for k in range(count)]
