"""Write the sample-score table at the end of a run."""

import os.path as osp
from typing import Dict, Mapping, Optional

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets import FERDataset, fer_datasets
from mmfer.evaluation.functional import auroc
from mmfer.models.predictions import score_labels
from mmfer.models.utils import predicts_classes, unwrap_model
from mmfer.registry import HOOKS
from mmfer.score_table import (
    FILE_NAME,
    ScoreTable,
    insert_measurements,
    merge_decisions,
    score_columns,
    suggest_labels,
    write_score_table,
)
from mmfer.utils.console import FILE_ONLY
from mmfer.utils.random import random_state_kept

from ..scoring import evaluation_view, predict_training_set, saved_weights, training_set
from ..used_labels import used_labels


def packs_sample_id(view: FERDataset) -> bool:
    """Return whether the pipeline of a view packs the ``sample_id``.

    Args:
        view (FERDataset): View; its first readable image is tried.
    """
    with random_state_kept():
        for position in range(min(len(view), 8)):
            try:
                packed = view[position]
            except Exception:
                # The run itself will say what is wrong with this image.
                continue
            sample = packed.get('data_samples')
            return sample is not None and 'sample_id' in sample
    return True


@HOOKS.register_module()
class SampleScoresHook(Hook):
    """Write ``sample_scores.csv`` to the work dir when a run ends.

    Scores come from one unaugmented pass in eval mode, with the saved weights.
    These are the averaged weights if there is an ``EMAHook``. Two kinds of
    methods give their own ``noise_score``, and columns with the values that it
    is computed from:

    - a model or head with its own noise score (``score_labels``); if it also
      suggests labels, the decision follows from them, see
      :func:`~mmfer.score_table.suggest_labels`;
    - a method that cleaned the set before the run. The table then has its
      decisions, too.

    If labels have changed during the run, by a hook such as ``RelabelHook`` or by
    the method, ``used_label`` is the label in the last epoch.

    Clean labels, if the data set has them, are added last, so that no other
    column can depend on them.

    Args:
        threshold (float): See :func:`~mmfer.score_table.score_columns`.
            Defaults to 0.2 (SCN).
        interval (int): Number of epochs after which the training accuracy is
            added to ``history.json``, in per cent. It is the share of training
            images whose predicted label is the given label
            (``training/given_accuracy``) or, if known, the clean label
            (``training/clean_accuracy``). This costs one pass each time.
            Defaults to 0: never.
    """

    # Before SummaryHook, which reports the detection figures.
    priority = 'LOW'

    def __init__(self, threshold: float = 0.2, interval: int = 0):
        self.threshold = threshold
        self.interval = interval
        self.reason: Optional[str] = None

    def before_train(self, runner: Runner) -> None:
        """Warn before the first epoch if no table will be written."""
        self.reason = self._find_obstacle(runner)
        if self.reason is not None:
            runner.logger.warning(f'{FILE_NAME} will not be written: {self.reason}.')

    @staticmethod
    def _find_obstacle(runner: Runner) -> Optional[str]:
        """Return why no table can be written; None if it can."""
        datasets = list(fer_datasets(runner.train_dataloader.dataset))
        if runner._val_loop is None:
            return 'it needs the validation pipeline, and validation is switched off'
        if not predicts_classes(unwrap_model(runner.model)):
            return 'the model predicts no classes'
        if len(datasets) != 1:
            return (
                'it needs exactly one mmfer data set to train on, '
                f'and there are {len(datasets)}'
            )
        if not packs_sample_id(evaluation_view(runner)):
            return (
                'the validation pipeline packs no sample_id; end '
                "it with dict(type='PackFERInputs')"
            )
        return None

    def after_train_epoch(self, runner: Runner) -> None:
        """Record how many training labels the model reproduces."""
        if (
            self.reason is not None
            or not self.interval
            or (runner.epoch + 1) % self.interval
        ):
            return
        dataset = training_set(runner)
        with saved_weights(runner):
            result = predict_training_set(runner)
        ids = result['sample_id']
        predicted = result['pred_score'].argmax(axis=1)
        # Samples still in use; a cleaning may have dropped some.
        labels = dataset.get_gt_labels()[dataset.positions_of(ids)]
        noted = {'training/given_accuracy': 100 * np.mean(predicted == labels)}
        if dataset.clean_labels is not None:
            noted['training/clean_accuracy'] = 100 * np.mean(
                predicted == dataset.clean_labels[ids]
            )
        runner.message_hub.update_info('training_accuracy', noted)

    def after_train(self, runner: Runner) -> None:
        """Score the samples, add clean labels and write the table."""
        if self.reason is not None:
            return
        label_decisions = training_set(runner).label_decisions
        dataset = training_set(runner).uncleaned or training_set(runner)
        runner.logger.info(
            f'Scoring {len(dataset)} training samples ...', extra=FILE_ONLY
        )
        with saved_weights(runner):
            result = predict_training_set(
                runner, dataset=None if label_decisions is None else dataset
            )
        if not is_main_process():
            return
        table = self._make_table(runner, dataset, result)
        if label_decisions is not None:
            table = merge_decisions(table, label_decisions)
        used = used_labels(runner)[table['sample_id']]
        if label_decisions is None and (used != table['given_label']).any():
            table['used_label'] = used
        clean = dataset.clean_labels
        if clean is not None:
            table['clean_label'] = clean[table['sample_id']]
            wrong = table['given_label'] != table['clean_label']
            noted = dict(
                noise_auroc=auroc(table['noise_score'], wrong),
                probability_auroc=probability_auroc(dataset, result),
            )
            for name, value in noted.items():
                runner.message_hub.update_info(name, value)
        write_score_table(osp.join(runner.work_dir, FILE_NAME), table, dataset.CLASSES)

    def _make_table(
        self, runner: Runner, dataset: FERDataset, result: Dict[str, np.ndarray]
    ) -> ScoreTable:
        """Return the columns that follow from the predictions.

        Args:
            runner (Runner): Runner after the last epoch.
            dataset (FERDataset): Samples before any cleaning.
            result (dict[str, np.ndarray]): See :func:`predict_training_set`.
        """
        ids = result['sample_id']
        labels = dataset.given_labels[ids]
        table = score_columns(
            ids,
            dataset.image_names(ids),
            labels,
            result['pred_score'],
            result['uncertainty'],
            self.threshold,
        )
        measured = score_labels(
            unwrap_model(runner.model),
            {name: torch.from_numpy(values) for name, values in result.items()},
            torch.from_numpy(labels),
        )
        if not measured:
            return table
        columns = {name: values.cpu().numpy() for name, values in measured.items()}
        suggested = columns.pop('suggested_label', None)
        table = insert_measurements(table, columns)
        return table if suggested is None else suggest_labels(table, suggested)


def probability_auroc(
    dataset: FERDataset, result: Mapping[str, np.ndarray]
) -> Optional[float]:
    """Return how well one minus the probability of a given label finds wrong ones.

    It stands beside the AUROC of ``noise_score``, which may be a method's own.

    Args:
        dataset (FERDataset): Samples before any cleaning, with clean labels.
        result (Mapping[str, np.ndarray]): See :func:`predict_training_set`.

    Returns:
        float, optional: Area under the ROC curve, in [0, 1]. None if no label is wrong.
    """
    ids = result['sample_id']
    given = dataset.given_labels[ids]
    assert dataset.clean_labels is not None
    scores = 1 - result['pred_score'][np.arange(len(ids)), given]
    return auroc(scores, given != dataset.clean_labels[ids])
