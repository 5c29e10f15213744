"""Measure published weights: by class, confusion, rejection and calibration."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from mmfer.datasets import FERDataset
from mmfer.engine.scoring import predict_samples
from mmfer.evaluation.functional import (
    auroc,
    expected_calibration_error,
    mean_class_accuracy,
    rejection_accuracy,
)
from mmfer.evaluation.selective import augrc, aurc, promise_threshold, stored_risk_table
from mmfer.registry import DATASETS

from .calibrated import read_calibration

# Shares of the least sure predictions that are rejected.
SHARES = (0.1, 0.2, 0.3)
# Promised error rates whose thresholds are tried on the evaluated images.
PROMISED = (0.05, 0.1, 0.15)


def evaluate_weights(model: BaseModel, cfg: Config, classes: Sequence[str]) -> dict:
    """Evaluate a model on the test set of its config.

    Args:
        model (BaseModel): Classifier with the weights as they are stored. Its
            ``rejection`` and ``calibration`` may have thresholds and a temperature,
            see :func:`mmfer.apis.calibrated.measure_held_out`.
        cfg (Config): Config with ``test_dataloader``.
        classes (Sequence[str]): (K,) names.

    Returns:
        dict: See :func:`evaluation_record`, with ``data_set`` and ``split``.

    Raises:
        FileNotFoundError: The files of the test set are missing.
    """
    settings = cfg.test_dataloader.dataset
    dataset: FERDataset = DATASETS.build(settings)
    dataset.full_init()
    found = predict_samples(model, dataset, cfg.test_dataloader)
    labels = dataset.given_labels[found['sample_id']]
    # Measure what FERInferencer returns.
    calibration = read_calibration(getattr(model, 'calibration', None), 'the model')
    predictions = calibration.apply(
        {k: torch.from_numpy(found[k]) for k in ('pred_score', 'uncertainty')}
    )
    record = evaluation_record(
        predictions['pred_score'].numpy(),
        labels,
        predictions['uncertainty'].numpy(),
        classes,
        promised_thresholds(getattr(model, 'rejection', None)),
    )
    split = settings.get('split', 'test')
    if settings.get('fold'):
        split = 'a held-out part of the training images, with their given labels'
    return dict(data_set=settings.type, split=split, **record)


def evaluation_record(
    scores: np.ndarray,
    labels: np.ndarray,
    uncertainty: np.ndarray,
    classes: Sequence[str],
    thresholds: Sequence[Tuple[float, float]] = (),
) -> dict:
    """Return what a model card states about predictions, with all counts.

    Args:
        scores (np.ndarray): Probabilities, (N, K).
        labels (np.ndarray): Labels of the test set, int (N, ).
        uncertainty (np.ndarray): Uncertainty of each prediction, (N, ).
        classes (Sequence[str]): (K,) names.
        thresholds (Sequence): Pairs of an error rate and its threshold, which was
            found on other images. Defaults to none.

    Returns:
        dict: ``images``, ``correct``, ``accuracy`` and ``mean_class`` in per cent.
        ``confusion`` is a K x K list of counts: rows are labels, columns are
        predictions. ``classes`` has a dict per class; its ``accuracy`` is None if
        it has no image. ``rejection`` has a dict per rejected share. ``thresholds``
        has a dict per promised error rate: share kept, and errors among these.
        ``calibration_error`` and ``mean_confidence`` are in per cent.
        ``error_auroc`` is the AUROC of the uncertainty against being wrong, ``aurc``
        and ``augrc`` are areas under curves of the risk over the coverage.
    """
    predicted = scores.argmax(axis=1)
    correct = predicted == labels
    confidence = scores.max(axis=1)
    number = len(classes)
    confusion = np.bincount(labels * number + predicted, minlength=number**2)
    confusion = confusion.reshape(number, number)
    return dict(
        images=len(labels),
        correct=int(correct.sum()),
        accuracy=_percent(correct.mean()),
        mean_class=_rounded(mean_class_accuracy(predicted, labels)),
        calibration_error=_percent(expected_calibration_error(confidence, correct)[0]),
        mean_confidence=_percent(confidence.mean()),
        error_auroc=_rounded(auroc(uncertainty, ~correct)),
        aurc=_rounded(aurc(correct, uncertainty)),
        augrc=_rounded(augrc(correct, uncertainty)),
        classes=_by_class(confusion, classes),
        confusion=confusion.tolist(),
        rejection=[
            dict(
                rejected=share,
                accuracy=_rounded(rejection_accuracy(correct, uncertainty, share)),
            )
            for share in SHARES
        ],
        thresholds=_tried(thresholds, correct, uncertainty),
    )


def _by_class(confusion: np.ndarray, classes: Sequence[str]) -> List[dict]:
    """Return counts and the accuracy of each class."""
    return [
        dict(
            name=name,
            images=int(row.sum()),
            correct=int(row[k]),
            accuracy=_percent(row[k] / row.sum()) if row.sum() else None,
            predicted=int(confusion[:, k].sum()),
        )
        for k, (name, row) in enumerate(zip(classes, confusion))
    ]


def promised_thresholds(stored: Optional[dict]) -> List[Tuple[float, float]]:
    """Return the thresholds that a model promises, for :data:`PROMISED`.

    Args:
        stored (dict, optional): ``rejection`` of the model.

    Returns:
        list[tuple[float, float]]: Promised error rates and their thresholds.
    """
    if not stored:
        return []
    found = [(p, promise_threshold(stored_risk_table(stored), p)) for p in PROMISED]
    return [(p, threshold.threshold) for p, threshold in found if threshold]


def _tried(
    thresholds: Sequence[Tuple[float, float]],
    correct: np.ndarray,
    uncertainty: np.ndarray,
) -> List[Dict[str, Any]]:
    """Return how thresholds do on these images."""
    rows = []
    for promised, threshold in thresholds:
        kept = uncertainty <= threshold
        rows.append(
            dict(
                promised=promised,
                threshold=threshold,
                kept=int(kept.sum()),
                wrong=int((kept & ~correct).sum()),
                kept_share=_percent(kept.mean()),
                error=_percent(1 - correct[kept].mean()) if kept.any() else None,
            )
        )
    return rows


def _percent(share: float) -> float:
    return _rounded(100 * share)


def _rounded(value: Any) -> Any:
    """Round to ten decimals, so that a shown value is rounded once; keep None."""
    return None if value is None else round(float(value), 10)
