"""Is this training label wrong? One table per training."""

import csv
import io
import os.path as osp
from typing import Dict, List, Sequence

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
from mmfer.utils.files import write_atomic
from mmfer.utils.random import random_state_kept

from ..scoring import evaluation_view, predict_training_set, saved_weights, training_set


def score_rows(
    sample_ids: np.ndarray,
    images: List[str],
    labels: np.ndarray,
    scores: np.ndarray,
    uncertainty: np.ndarray,
    threshold: float,
) -> List[dict]:
    """Rows of the sample-score table, without clean labels.

    ``noise_score`` is one minus the probability of the given label. A label
    is suggested for change when the best class beats it by more than
    ``threshold``.

    Args:
        sample_ids (np.ndarray): int (N, ).
        images (list[str]): N names.
        labels (np.ndarray): Given labels, int (N, ).
        scores (np.ndarray): Probabilities (N, C).
        uncertainty (np.ndarray): (N, ).
        threshold (float): In [0, 1].

    Returns:
        list[dict]: One per sample; the keys are the columns of the table.
    """
    given = scores[np.arange(len(labels)), labels]
    best = scores.max(axis=1)
    return [
        dict(
            sample_id=int(sample_ids[i]),
            image=images[i],
            given_label=int(labels[i]),
            uncertainty=f'{uncertainty[i]:.6g}',
            confidence=f'{best[i]:.6g}',
            noise_score=f'{1 - given[i]:.6g}',
            suggested_label=int(scores[i].argmax()),
            decision='relabel' if best[i] - given[i] > threshold else 'keep',
            clean_label='',
        )
        for i in range(len(labels))
    ]


def add_columns(rows: List[dict], label_decisions: Dict[str, Sequence]) -> None:
    """Put in what a method says of the labels.

    Args:
        rows (list[dict]): Of :func:`score_rows`; changed in place. New
            columns come before ``noise_score``.
        label_decisions (dict[str, Sequence]): Columns of N numbers, among them
            ``noise_score``.
    """
    for i, row in enumerate(rows):
        old = dict(row)
        row.clear()
        for name, value in old.items():
            if name == 'noise_score':
                row.update(
                    {n: f'{float(v[i]):.6g}' for n, v in label_decisions.items()}
                )
            else:
                row[name] = value


def add_decisions(rows: List[dict], label_decisions: Dict[str, np.ndarray]) -> None:
    """Put in what a cleaning method said before the training.

    Args:
        rows (list[dict]): Of :func:`score_rows`; changed in place.
        label_decisions (dict[str, np.ndarray]): See :meth:`FERDataset.apply_decisions`; its
            arrays may be in another order.
    """
    place = {s: i for i, s in enumerate(label_decisions['sample_id'].tolist())}
    order = [place[row['sample_id']] for row in rows]
    taken = ('sample_id', 'given_label', 'suggested_label', 'decision')
    add_columns(
        rows, {k: v[order] for k, v in label_decisions.items() if k not in taken}
    )
    for row, i in zip(rows, order):
        row['suggested_label'] = int(label_decisions['suggested_label'][i])
        row['decision'] = str(label_decisions['decision'][i])


def format_table(rows: List[dict]) -> bytes:
    """The table as CSV."""
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def packs_sample_id(view: FERDataset) -> bool:
    """Whether the samples of a view tell which they are.

    Args:
        view (FERDataset): Its first image that can be read is looked at.
    """
    with random_state_kept():
        for position in range(min(len(view), 8)):
            try:
                packed = view[position]
            except Exception:
                # Training says what is wrong with this image.
                continue
            sample = packed.get('data_samples')
            return sample is not None and 'sample_id' in sample
    return True


@HOOKS.register_module()
class SampleScoresHook(Hook):
    """Write ``sample_scores.csv`` to the work dir when training ends.

    Scores come from one unaugmented pass in eval mode, with the weights that
    are saved: those of an ``EMAHook``, where there is one. A model or head with a
    notion of label noise of its own (``score_labels``) gives its own
    ``noise_score``, and columns of what that is made of; so does a method that
    cleaned the set before the training, with its decisions. Clean labels are
    joined as the last column where the data set knows them, after everything
    else is fixed.

    Args:
        threshold (float): See :func:`score_rows`. Defaults to 0.2 (SCN).
        interval (int): Also every so many epochs, note in ``history.json``
            how many training images are predicted as labelled, in per cent
            (``training/given_accuracy``), and where clean labels are known,
            correctly (``training/clean_accuracy``). Costs a pass each.
            Defaults to 0: never.
    """

    # Before SummaryHook, which reports the detection figures.
    priority = 'LOW'

    def __init__(self, threshold: float = 0.2, interval: int = 0):
        self.threshold = threshold
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Say now, not after days, if no table will be written."""
        self.reason = None
        datasets = list(fer_datasets(runner.train_dataloader.dataset))
        if runner._val_loop is None:
            self.reason = (
                'it needs the validation pipeline, and validation is switched off'
            )
        elif not predicts_classes(unwrap_model(runner.model)):
            self.reason = 'the model predicts no classes'
        elif len(datasets) != 1:
            self.reason = (
                'it needs exactly one mmfer data set to train on, '
                f'and there are {len(datasets)}'
            )
        elif not packs_sample_id(evaluation_view(runner)):
            self.reason = (
                'the validation pipeline packs no sample_id; end '
                "it with dict(type='PackFERInputs')"
            )
        if self.reason is not None:
            runner.logger.warning(
                f'sample_scores.csv will not be written: {self.reason}.'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Note how far labels are learned by heart."""
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
        # What is trained on, which after a cleaning is less.
        place = {s: i for i, s in enumerate(dataset.sample_ids.tolist())}
        labels = dataset.get_gt_labels()[[place[i] for i in ids.tolist()]]
        noted = {'training/given_accuracy': 100 * np.mean(predicted == labels)}
        if dataset.clean_labels is not None:
            noted['training/clean_accuracy'] = 100 * np.mean(
                predicted == dataset.clean_labels[ids]
            )
        runner.message_hub.update_info('training_accuracy', noted)

    def after_train(self, runner: Runner) -> None:
        """Score, join, write."""
        if self.reason is not None:
            return
        label_decisions = training_set(runner).label_decisions
        dataset = training_set(runner).uncleaned or training_set(runner)
        runner.logger.info(f'Scoring {len(dataset)} training samples ...')
        with saved_weights(runner):
            result = predict_training_set(
                runner, dataset=None if label_decisions is None else dataset
            )
        if not is_main_process():
            return
        ids = result['sample_id']
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        names = {i['sample_id']: dataset.image_name(i['img_path']) for i in infos}
        labels = dataset.given_labels[ids]
        rows = score_rows(
            ids,
            [names[i] for i in ids],
            labels,
            result['pred_score'],
            result['uncertainty'],
            self.threshold,
        )
        columns = score_labels(
            unwrap_model(runner.model),
            {
                name: torch.from_numpy(values)
                for name, values in result.items()
                if name != 'sample_id'
            },
            torch.from_numpy(labels),
        )
        if columns:
            add_columns(rows, columns)
        if label_decisions is not None:
            add_decisions(rows, label_decisions)
        clean = dataset.clean_labels
        if clean is not None:
            for row, label in zip(rows, clean[ids]):
                row['clean_label'] = int(label)
            wrong = labels != clean[ids]
            score = np.array([float(row['noise_score']) for row in rows])
            runner.message_hub.update_info('noise_auroc', auroc(score, wrong))
        path = osp.join(runner.work_dir, 'sample_scores.csv')
        write_atomic(path, format_table(rows))
