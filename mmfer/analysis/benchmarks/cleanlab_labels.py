"""Decisions of cleanlab about the labels of a config."""

import logging
import os.path as osp
from typing import Tuple

import numpy as np
from mmengine.config import Config

from mmfer.datasets import FERDataset, LabelView, unaugmented, with_pipeline
from mmfer.engine.provenance import config_hash
from mmfer.engine.scoring import predict_view
from mmfer.engine.stages import fingerprint
from mmfer.engine.training import train_classifier
from mmfer.methods.gaave.splitting import draw_of_each_class
from mmfer.registry import DATASETS
from mmfer.score_table import ScoreTable
from mmfer.utils.config import merge_options
from mmfer.utils.json_files import read_json


def folds(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw the fold of each sample, so that each class is spread evenly."""
    rng = np.random.default_rng(seed)
    result = np.empty(len(labels), dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        # Continue where the last class ended, so that folds are equally large.
        result[mine] = (start + np.arange(len(mine))) % count
        start += len(mine)
    return result


def rescale(cfg: Config, epochs: int) -> None:
    """Set the number of epochs, and stretch the schedules to it."""
    factor = epochs / cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = epochs
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        for key in ('T_max', 'total_steps', 'begin', 'end', 'milestones'):
            value = scheduler.get(key)
            if isinstance(value, list):
                scheduler[key] = [max(1, round(factor * v)) for v in value]
            elif value:
                scheduler[key] = max(1, round(factor * value))


def models_and_data(cfg: Config) -> Tuple[Config, FERDataset, FERDataset]:
    """Return the config and the data sets with which GAAVE would train models.

    Args:
        cfg (Config): Training config, with or without a GAAVEHook.

    Returns:
        tuple: Config with the recipe of the hook and without hooks; training set
        with augmentation; training set without augmentation.
    """
    hooks = cfg.get('custom_hooks') or []
    names = ('GAAVEHook', 'mmfer.GAAVEHook')
    recipe = next((hook.get('base') for hook in hooks if hook['type'] in names), None)
    cfg = Config(merge_options(dict(cfg.to_dict(), custom_hooks=[]), recipe))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    pipeline = DATASETS.build(cfg.val_dataloader.dataset).pipeline
    train_set = dataset
    if 'train_dataloader' in (recipe or {}):
        train_set = with_pipeline(dataset, cfg.train_dataloader.dataset.pipeline)
    return cfg, train_set, unaugmented(dataset, pipeline)


def epochs_like(path: str, samples: int, num_folds: int) -> int:
    """Return the epochs per fold with about as many image passes as a cleaning.

    Args:
        path (str): ``record.json`` of ``tools/clean_labels.py``.
        samples (int): Number of training samples.
        num_folds (int): Number of folds.
    """
    record = read_json(path, dict, 'record.json of a cleaning')
    try:
        budget = sum(int(subset['image_passes']) for subset in record['subsets'])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError(
            f'{path} has no image passes of a cleaning. Name the record.json that '
            'tools/clean_labels.py wrote.'
        ) from None
    return max(1, round(budget / (samples * (num_folds - 1))))


def out_of_sample_scores(
    cfg: Config,
    train_set: FERDataset,
    test_set: FERDataset,
    out: str,
    num_folds: int,
    logger: logging.Logger,
) -> np.ndarray:
    """Predict each sample with a model that was trained on the other folds.

    Args:
        cfg (Config): Config of the models.
        train_set (FERDataset): Training set with augmentation.
        test_set (FERDataset): The same samples without augmentation.
        out (str): Folder for the models; models of an earlier run are reused.
        num_folds (int): Number of folds.
        logger (logging.Logger): Logger of the run.

    Returns:
        np.ndarray: Probabilities (N, C) in the order of the training set.
    """
    ids, labels = train_set.sample_ids, train_set.get_gt_labels()
    seed = cfg.get('randomness', {}).get('seed') or 0
    # Other settings, labels or folds lead to other folders.
    key = fingerprint(dict(config=config_hash(cfg), labels=labels, folds=num_folds))[:8]
    fold = folds(labels, num_folds, seed)
    scores = np.zeros((len(ids), train_set.num_classes))

    def view(base: FERDataset, rows: np.ndarray) -> LabelView:
        return LabelView(base, ids[rows], labels[rows], train_set.num_classes)

    for i in range(num_folds):
        mine = np.flatnonzero(fold != i)
        held = np.zeros(len(mine), dtype=bool)
        held[draw_of_each_class(labels[mine], 0.1, seed)] = True
        trained = train_classifier(
            cfg,
            view(train_set, mine[~held]),
            train_set.num_classes,
            osp.join(out, f'fold{i}-{key}'),
            seed,
            f'Fold {i + 1}',
            logger,
            view(test_set, mine[held]),
            patience=cfg.train_cfg.max_epochs,
        )
        asked = np.flatnonzero(fold == i)
        asked = asked[ids[asked].argsort()]
        _, scores[asked] = predict_view(
            trained.model, view(test_set, asked), cfg.val_dataloader
        )
    return scores


def issue_table(dataset: FERDataset, scores: np.ndarray) -> ScoreTable:
    """Let cleanlab find label issues, and return a score table.

    Args:
        dataset (FERDataset): Training set, N samples.
        scores (np.ndarray): Out-of-sample probabilities (N, C).

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the order of the file.

    Raises:
        ImportError: cleanlab is not installed.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    ids, labels = dataset.sample_ids, dataset.get_gt_labels()
    issue = find_label_issues(labels, scores)
    table = dict(
        sample_id=ids,
        image=np.array(dataset.image_names(), dtype=object),
        given_label=labels,
        candidate=issue,
        noise_score=1 - get_label_quality_scores(labels, scores),
        suggested_label=np.where(issue, -1, labels),
        decision=np.where(issue, 'drop', 'keep'),
    )
    if dataset.clean_labels is not None:
        table['clean_label'] = dataset.clean_labels[ids]
    return table
