"""Relabelling during training, as in SCN and RUL's supplement."""

from typing import Tuple

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.utils import predicts_classes, unwrap_model
from mmfer.registry import HOOKS

from ..scoring import predict_training_set, training_set


def relabel(
    scores: np.ndarray,
    uncertainty: np.ndarray,
    labels: np.ndarray,
    fraction: float,
    threshold: float,
) -> Tuple[np.ndarray, ...]:
    """Which samples get which new label (SCN; RUL supplement B).

    Args:
        scores (np.ndarray): Probabilities (N, C).
        uncertainty (np.ndarray): (N, ), larger is less sure.
        labels (np.ndarray): Given labels, int (N, ).
        fraction (float): Only this share, the most uncertain, is looked at.
        threshold (float): The largest probability must exceed the given
            label's by more than this.

    Returns:
        tuple[np.ndarray, np.ndarray]: Rows that change, and their labels.
    """
    rows = np.arange(len(labels))
    count = round(fraction * len(labels))
    candidates = np.argsort(-uncertainty, kind='stable')[:count]
    gain = scores.max(axis=1) - scores[rows, labels]
    chosen = np.sort(candidates[gain[candidates] > threshold])
    return chosen, scores[chosen].argmax(axis=1)


@HOOKS.register_module()
class RelabelHook(Hook):
    """Change labels that the model contradicts, before each epoch.

    Works with every method, as every method has an ``uncertainty``. Labels
    of the training set change for good, are stored in checkpoints and reach
    running workers.

    Args:
        start_epoch (int): First epoch (0-based) that relabels. The
            supplement: 10 of 35 on MNIST, 100 of 250 on CIFAR.
        fraction (float): Share of samples looked at. Defaults to 0.5.
        threshold (float): See :func:`relabel`. Defaults to 0.2.
        interval (int): Epochs between passes. Defaults to 1.
    """

    def __init__(
        self,
        start_epoch: int,
        fraction: float = 0.5,
        threshold: float = 0.2,
        interval: int = 1,
    ):
        if start_epoch < 1:
            raise ValueError(
                'start_epoch must be at least 1: an untrained '
                'model cannot correct labels.'
            )
        if not 0 < fraction <= 1:
            raise ValueError(f'fraction must lie in (0, 1], got {fraction}')
        self.start_epoch = start_epoch
        self.fraction = fraction
        self.threshold = threshold
        self.interval = interval
        self._resumed = None

    def before_train(self, runner: Runner) -> None:
        """Put back the labels of a resumed run."""
        if runner._val_loop is None:
            raise ValueError(
                'RelabelHook predicts with the validation pipeline; switch '
                'validation on (drop --no-validate).'
            )
        if not predicts_classes(unwrap_model(runner.model)):
            raise ValueError(
                'RelabelHook: the model predicts no classes; '
                'remove the hook from custom_hooks.'
            )
        if runner._resume and self._resumed is not None:
            dataset = training_set(runner)
            dataset.set_labels(dataset.sample_ids, self._resumed[dataset.sample_ids])

    def before_train_epoch(self, runner: Runner) -> None:
        """Relabel."""
        since = runner.epoch - self.start_epoch
        if since < 0 or since % self.interval:
            return
        dataset = training_set(runner)
        result = predict_training_set(runner)
        labels = dataset.get_gt_labels()
        rows, new = relabel(
            result['pred_score'],
            result['uncertainty'],
            labels,
            self.fraction,
            self.threshold,
        )
        dataset.set_labels(dataset.sample_ids[rows], new)
        runner.logger.info(
            f'Relabelled {len(rows)} of {len(labels)} training samples '
            f'before epoch {runner.epoch + 1}.'
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the labels in use, by ``sample_id``."""
        checkpoint['training_labels'] = training_set(runner).all_labels.clone()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the stored labels until the data set exists."""
        labels = checkpoint.get('training_labels')
        if isinstance(labels, torch.Tensor):
            self._resumed = labels.cpu().numpy()
