"""Relabel samples during training, as in SCN and the supplement of RUL."""

from typing import Optional, Tuple

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.models.utils import predicts_classes, unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checks import in_range, positive_int

from ..loops import inside_epoch
from ..scoring import predict_training_set, training_set


def relabel(
    scores: np.ndarray,
    uncertainty: np.ndarray,
    labels: np.ndarray,
    fraction: float,
    threshold: float,
) -> Tuple[np.ndarray, ...]:
    """Choose the samples to relabel and their labels (SCN; RUL supplement B).

    Args:
        scores (np.ndarray): Probabilities (N, C).
        uncertainty (np.ndarray): Uncertainties (N, ); larger is less sure.
        labels (np.ndarray): Given labels, int (N, ).
        fraction (float): Share of samples that may change, the most uncertain
            ones.
        threshold (float): A sample changes if its largest probability exceeds
            that of the given label by more than this.

    Returns:
        tuple[np.ndarray, np.ndarray]: Rows that change, and their new labels.
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

    The hook works with every method, because every method predicts an
    ``uncertainty``.
    The labels of the training set change permanently. They are stored in
    checkpoints and reach workers that are running.

    Args:
        start_epoch (int): First epoch (0-based) before which labels change,
            at least 1. The supplement uses 10 of 35 on MNIST and 100 of 250
            on CIFAR.
        fraction (float): Share of samples that may change, the most uncertain
            ones, in (0, 1]. The paper of SCN takes 0.3, and
            ranks by the importance weight: for this the head's ``uncertainty``
            has to be one minus that weight. Defaults to 0.5.
        threshold (float): See :func:`relabel`. Defaults to 0.2.
        interval (int): Epochs between two passes. Defaults to 1.
    """

    def __init__(
        self,
        start_epoch: int,
        fraction: float = 0.5,
        threshold: float = 0.2,
        interval: int = 1,
    ):
        self.start_epoch = positive_int(
            self,
            'start_epoch',
            start_epoch,
            hint='An untrained model cannot correct labels.',
        )
        self.fraction = in_range(self, 'fraction', fraction, 0, 1, open_low=True)
        self.threshold = threshold
        self.interval = positive_int(self, 'interval', interval)
        self._resumed: Optional[np.ndarray] = None

    def before_train(self, runner: Runner) -> None:
        """Check the settings, and restore the labels of a resumed run."""
        if runner._val_loop is None:
            raise ValueError(
                'RelabelHook needs the validation pipeline, and validation is '
                'switched off. Switch it on (omit --no-validate).'
            )
        if not predicts_classes(unwrap_model(runner.model)):
            raise ValueError(
                'RelabelHook: the model predicts no classes, so it cannot '
                'relabel; remove the hook from custom_hooks.'
            )
        if runner._resume and self._resumed is not None:
            dataset = training_set(runner)
            dataset.set_labels(dataset.sample_ids, self._resumed[dataset.sample_ids])

    def before_train_epoch(self, runner: Runner) -> None:
        """Relabel every ``interval`` epochs, from ``start_epoch`` on."""
        since = runner.epoch - self.start_epoch
        if since < 0 or since % self.interval or inside_epoch(runner):
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
        """Store the current labels, by ``sample_id``."""
        checkpoint['training_labels'] = training_set(runner).all_labels.clone()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the stored labels until the data set is built."""
        labels = checkpoint.get('training_labels')
        if isinstance(labels, torch.Tensor):
            self._resumed = labels.cpu().numpy()
