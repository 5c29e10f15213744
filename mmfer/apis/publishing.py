"""Thresholds of the uncertainty, for a checkpoint that is given away."""

import numpy as np
from mmengine.config import Config

from mmfer.datasets import FERDataset, unaugmented
from mmfer.evaluation.functional import rejection_threshold
from mmfer.registry import DATASETS

# Shares of errors for which thresholds are found.
TARGETS = [n / 200 for n in range(1, 81)]


def held_out_part(cfg: Config, number: int) -> FERDataset:
    """Return the last training images, with the test pipeline.

    Args:
        cfg (Config): Config of the training.
        number (int): Number of images.

    Raises:
        ValueError: The training uses these images.
    """
    settings = dict(cfg.train_dataloader.dataset)
    used = settings.pop('indices', None)
    whole = DATASETS.build(settings)
    whole.full_init()
    left_out = len(whole) - used if isinstance(used, int) and used > 0 else 0
    if not 0 < number <= left_out:
        raise ValueError(
            f'--held-out {number}: the config leaves out {left_out} of '
            f'{len(whole)} training images, the last ones, and thresholds '
            'found on images of the training would promise too much. Set '
            f'train_dataloader.dataset.indices={len(whole) - number} and '
            'train anew.'
        )
    settings['indices'] = -number
    return unaugmented(
        DATASETS.build(settings), DATASETS.build(cfg.val_dataloader.dataset).pipeline
    )


def threshold_table(correct: np.ndarray, uncertainty: np.ndarray) -> dict:
    """Return the thresholds as they are stored in a checkpoint.

    Args:
        correct (np.ndarray): Whether each prediction is right, bool (N, ).
        uncertainty (np.ndarray): Uncertainty of each prediction (N, ).

    Returns:
        dict: ``images``, N; ``error``, the share of wrong ones; and
        ``thresholds``, rows of a share of errors, the threshold that keeps
        as many images as possible at that share, and the share kept.
    """
    return dict(
        images=len(correct),
        error=float(1 - correct.mean()),
        thresholds=[
            [t, *rejection_threshold(correct, uncertainty, t)] for t in TARGETS
        ],
    )
