"""Relabel samples during training, as in SCN and the supplement of RUL."""

from typing import Dict, Optional, Tuple

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets import FERDataset
from mmfer.models.utils import predicts_classes, unwrap_model
from mmfer.registry import HOOKS
from mmfer.utils.checks import in_range, positive_int

from ..epoch_figures import report_figures
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


def relabel_figures(
    given: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    clean: Optional[np.ndarray],
) -> Dict[str, int]:
    """Count what a pass has changed, and what all passes have changed so far.

    Args:
        given (np.ndarray): Given labels, int (N, ).
        before (np.ndarray): Labels before the pass, int (N, ).
        after (np.ndarray): Labels after it, int (N, ).
        clean (np.ndarray, optional): Clean labels, int (N, ), if they are known.

    Returns:
        dict[str, int]: Numbers of samples:

        - ``relabelled``: the pass has changed their label.
        - ``labels_changed``: their label is not the given one any more.

        With clean labels also:

        - ``relabelled_right``: the pass gave them their clean label.
        - ``wrong_corrected``: the given label is wrong, and the new one is right.
        - ``right_spoiled``: the given label is right, and the new one is wrong.
        - ``wrong_left``: their label is wrong.
    """
    moved = before != after
    masks = dict(relabelled=moved, labels_changed=given != after)
    if clean is not None:
        masks.update(
            relabelled_right=moved & (after == clean),
            wrong_corrected=(given != clean) & (after == clean),
            right_spoiled=(given == clean) & (after != clean),
            wrong_left=after != clean,
        )
    return {name: int(mask.sum()) for name, mask in masks.items()}


@HOOKS.register_module()
class RelabelHook(Hook):
    """Change labels that the model contradicts, before each epoch.

    Before an epoch, the model predicts all training samples in eval mode and without
    augmentation. A sample gets the predicted class if it is one of the most uncertain
    ones, and if the predicted class is clearly more probable than its label.
    The hook works with every method, because every method predicts an
    ``uncertainty``.

    Labels change in memory and in checkpoints, for all later epochs. They also reach
    workers that are running. No file of the data set changes. ``history.json`` says
    for each epoch how many labels were changed. If noise was planted, it also says how
    many of them are right; no method uses this. ``used_label`` in
    ``sample_scores.csv`` is the label of a sample in the last epoch.

    Args:
        start_epoch (int): First epoch (0-based) before which labels change,
            at least 1. The supplement of RUL uses 10 of 35 on MNIST and 100 of 250
            on CIFAR.
        fraction (float): Share of samples that may change, the most uncertain
            ones, in (0, 1]. The paper of SCN takes 0.3, and
            ranks by the importance weight: for this the head's ``uncertainty``
            has to be one minus that weight. Defaults to 0.5.
        threshold (float): See :func:`relabel`, in [-1, 1]. Defaults to 0.2.
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
        self.threshold = in_range(self, 'threshold', threshold, -1, 1)
        self.interval = positive_int(self, 'interval', interval)
        self._figures: Optional[Dict[str, int]] = None
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
        dataset = training_set(runner)
        if getattr(dataset, 'soft_labels', False):
            raise ValueError(
                'RelabelHook changes labels, but soft_labels=True trains on the '
                'votes, which it does not change. Remove soft_labels or the hook.'
            )
        if self.start_epoch >= runner.max_epochs:
            runner.logger.warning(
                f'RelabelHook: start_epoch={self.start_epoch}, but the run has '
                f'{runner.max_epochs} epochs, so no label will change.'
            )
        if runner._resume and self._resumed is not None:
            dataset.set_labels(dataset.sample_ids, self._resumed[dataset.sample_ids])

    def before_train_epoch(self, runner: Runner) -> None:
        """Relabel every ``interval`` epochs, from ``start_epoch`` on."""
        if inside_epoch(runner):
            return
        self._figures = None
        since = runner.epoch - self.start_epoch
        if since < 0 or since % self.interval:
            return
        self._figures = self._relabel(runner, training_set(runner))

    def _relabel(self, runner: Runner, dataset: FERDataset) -> Dict[str, int]:
        """Change the labels of a data set, and return the figures of the pass."""
        result = predict_training_set(runner)
        # The samples of a subset may be in any order, and in it several times.
        ids = result['sample_id']
        before = dataset.all_labels.numpy()[ids]
        rows, new = relabel(
            result['pred_score'],
            result['uncertainty'],
            before,
            self.fraction,
            self.threshold,
        )
        dataset.set_labels(ids[rows], new)
        clean = dataset.clean_labels
        figures = relabel_figures(
            dataset.given_labels[ids],
            before,
            dataset.all_labels.numpy()[ids],
            None if clean is None else clean[ids],
        )
        runner.logger.info(
            f'Relabelled {len(rows)} of {len(ids)} training samples '
            f'before epoch {runner.epoch + 1}'
            + (
                f', {figures["relabelled_right"]} of them to their clean label. '
                f'{figures["wrong_left"]} labels are wrong now.'
                if clean is not None
                else '.'
            )
        )
        return figures

    def after_train_epoch(self, runner: Runner) -> None:
        """Report the figures of the pass before this epoch."""
        if self._figures is not None:
            report_figures(runner, self._figures)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the current labels, by ``sample_id``, and the figures."""
        checkpoint['training_labels'] = training_set(runner).all_labels.clone()
        checkpoint['relabel_figures'] = self._figures

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the stored labels until the data set is built."""
        labels = checkpoint.get('training_labels')
        if isinstance(labels, torch.Tensor):
            self._resumed = labels.cpu().numpy()
        figures = checkpoint.get('relabel_figures')
        if isinstance(figures, dict):
            self._figures = figures
