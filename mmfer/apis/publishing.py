"""Find thresholds of the uncertainty for a checkpoint to be published."""

import numpy as np
from mmengine.config import Config

from mmfer.datasets import FERDataset, unaugmented
from mmfer.evaluation.functional import rejection_threshold
from mmfer.registry import DATASETS

# Error rates for which thresholds are found.
TARGETS = [n / 200 for n in range(1, 81)]


def held_out_part(cfg: Config, number: int) -> FERDataset:
    """Return held-out images, the last of the training set, unaugmented.

    Args:
        cfg (Config): Config of the run.
        number (int): Number of images.

    Raises:
        ValueError: The run was trained on some of these images.
    """
    settings = dict(cfg.train_dataloader.dataset)
    used = settings.pop('indices', None)
    whole = DATASETS.build(settings)
    whole.full_init()
    left_out = len(whole) - used if isinstance(used, int) and used > 0 else 0
    if not 0 < number <= left_out:
        raise ValueError(
            f'--held-out {number}: the config holds out only the last '
            f'{left_out} of {len(whole)} training images. Thresholds found on '
            'images that the model was trained on would promise too much. Set '
            f'train_dataloader.dataset.indices={len(whole) - number} and '
            'train again.'
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
        dict: ``images`` is N, and ``error`` is the share of wrong predictions.
        ``thresholds`` is a list of rows of three numbers: an error rate, the
        threshold that keeps as many images as possible at this rate, and the
        share of images that it keeps.
    """
    return dict(
        images=len(correct),
        error=float(1 - correct.mean()),
        thresholds=[
            [t, *rejection_threshold(correct, uncertainty, t)] for t in TARGETS
        ],
    )
