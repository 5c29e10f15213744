"""Labels that a run trains on, where hooks or methods have changed some."""

from typing import Iterator

import numpy as np
from mmengine.runner import Runner
from torch import Tensor

from mmfer.models.protocols import ChangesLabels
from mmfer.models.sample_state import followers
from mmfer.models.utils import unwrap_model

from .scoring import training_set


def own_labels(runner: Runner) -> Iterator[Tensor]:
    """Yield the labels that each part of the model has changed by itself.

    Args:
        runner (Runner): Runner that trains.

    Yields:
        Tensor: See :meth:`~mmfer.models.protocols.ChangesLabels.changed_labels`.
    """
    for _, part in followers(unwrap_model(runner.model)):
        labels = part.changed_labels() if isinstance(part, ChangesLabels) else None
        if labels is not None:
            yield labels


def used_labels(runner: Runner) -> np.ndarray:
    """Return the label that each sample has in training now, int64 (N, ).

    N is the number of samples in the full list. Hooks such as ``RelabelHook`` change
    the labels of the data set, methods such as SCN keep their own.

    Args:
        runner (Runner): Runner that trains.
    """
    used = training_set(runner).all_labels.numpy().copy()
    for labels in own_labels(runner):
        own = labels.cpu().numpy()
        used = np.where(own < 0, used, own)
    return used
