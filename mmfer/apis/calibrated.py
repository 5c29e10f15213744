"""Calibration of a published model: how it is measured, stored and applied."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from mmfer.evaluation.calibration import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    TINY,
    fit_temperature,
    negative_log_likelihood,
    quantile_table,
    set_threshold,
)
from mmfer.evaluation.functional import expected_calibration_error, rejection_threshold
from mmfer.evaluation.selective import (
    as_stored,
    promise_threshold,
    risk_table,
    stored_risk_table,
)
from mmfer.models.heads import least_confidence
from mmfer.utils.checks import is_number, is_whole
from mmfer_command.shipped import shipped_tool

from .thresholds import PUBLISH

# Error rates for which the thresholds are found that keep them on average.
TARGETS = [n / 200 for n in range(1, 81)]
# Every fourth held-out image fits the temperature. Thresholds and prediction sets need
# images to which nothing was fitted.
FITTING_STEP = 4
# Fewest images to which a temperature is fitted.
FEWEST_FITTED = 100


class Calibration(NamedTuple):
    """Calibration that was fitted and measured on held-out images.

    Attributes:
        temperature (float): Divisor of the logarithms of the probabilities.
        confidence (bool): Whether the uncertainty of the model is one minus its largest
            probability, and so changes with the temperature.
        images (int): Number of images of the quantiles; 0 for none.
        quantiles (list[tuple[int, float]]): See
            :func:`mmfer.evaluation.calibration.quantile_table`.
    """

    temperature: float = 1.0
    confidence: bool = False
    images: int = 0
    quantiles: Tuple[Tuple[int, float], ...] = ()

    def apply(self, predictions: Dict[str, Tensor]) -> Dict[str, Tensor]:
        """Return the predictions of a batch with calibrated probabilities.

        Args:
            predictions (dict[str, Tensor]): See
                :class:`~mmfer.models.protocols.PredictsBatch`.
        """
        if self.temperature == 1.0 or 'pred_score' not in predictions:
            return predictions
        scores = rescale_scores(predictions['pred_score'], self.temperature)
        changed = dict(predictions, pred_score=scores)
        if self.confidence:
            changed['uncertainty'] = least_confidence(scores)
        return changed


def rescale_scores(scores: Tensor, temperature: float) -> Tensor:
    """Do what :func:`mmfer.evaluation.calibration.apply_temperature` does, with torch.

    Args:
        scores (Tensor): Probabilities (B, C).
        temperature (float): See there.
    """
    return (scores.float().clamp_min(TINY).log() / temperature).softmax(dim=1)


def read_calibration(stored: Any, owner: str) -> Calibration:
    """Return the calibration of a checkpoint or an ONNX file.

    Args:
        stored (Any): ``calibration`` of the file; None if it has none.
        owner (str): Name of the file, for messages.

    Raises:
        ValueError: It is not what mmfer writes.
    """
    if stored is None:
        return Calibration()
    found = stored if isinstance(stored, dict) else {}
    temperature: Any = found.get('temperature')
    images: Any = found.get('images')
    rows: Any = found.get('quantiles')
    if (
        not is_number(temperature)
        or not LOWEST_TEMPERATURE * 0.99 <= temperature <= HIGHEST_TEMPERATURE * 1.01
        or not is_whole(images)
        or not isinstance(rows, (list, tuple))
        or not all(
            isinstance(row, (list, tuple))
            and len(row) == 2
            and is_whole(row[0])
            and is_number(row[1])
            for row in rows
        )
    ):
        raise ValueError(
            f'{owner}: its calibration is not what mmfer writes '
            f'({str(stored)[:60]}). Copy the file again, or publish the model again.'
        )
    return Calibration(
        float(temperature),
        found.get('uncertainty') == 'confidence',
        int(images),
        tuple((int(rank), float(value)) for rank, value in rows),
    )


def find_set_threshold(
    calibration: Calibration, coverage: Optional[float], classes: int
) -> Optional[float]:
    """Return the probability from which classes belong to ``pred_set``.

    Args:
        calibration (Calibration): That of the model.
        coverage (float, optional): Wanted coverage. None: there are no sets.
        classes (int): Number of classes; 0 if the model predicts none.

    Raises:
        ValueError: ``coverage`` is not in (0, 1), or the model has too few calibration
            images for it.
    """
    if coverage is None:
        return None
    if not is_number(coverage) or not 0 < coverage < 1:
        raise ValueError(
            f'coverage must be a share of images in (0, 1), such as 0.9, got '
            f'{coverage!r}'
        )
    if not classes:
        raise ValueError(
            'coverage: this model predicts valence and arousal only, so there are no '
            'sets of classes. Leave coverage out.'
        )
    if not calibration.quantiles:
        raise ValueError(
            'coverage: this model comes without a calibration for prediction sets. '
            f'Publish it with held-out images: python {shipped_tool(PUBLISH)} CONFIG '
            'CHECKPOINT OUT --held-out NUMBER'
        )
    found = set_threshold(calibration.quantiles, calibration.images, coverage)
    if found is None:
        needed = int(np.ceil(coverage / (1 - coverage) * (1 - 1e-9)))
        raise ValueError(
            f'coverage={float(coverage)!r} needs at least {needed} held-out images, '
            f'but this model was calibrated on {calibration.images}. Give a lower '
            'coverage, or publish the model again with more images.'
        )
    return found


def threshold_table(correct: np.ndarray, uncertainty: np.ndarray) -> dict:
    """Return the thresholds as they are stored in a checkpoint.

    Args:
        correct (np.ndarray): Whether each prediction is right, bool (N, ).
        uncertainty (np.ndarray): Uncertainty of each prediction (N, ).

    Returns:
        dict: ``images`` is N, and ``error`` is the share of wrong predictions.
        ``thresholds`` is a list of rows of three numbers: an error rate, the
        threshold that keeps as many images as possible at this rate, and the
        share of images that it keeps. ``counts`` are the rows of
        :func:`~mmfer.evaluation.selective.risk_table`, from which thresholds with a
        promise are found.
    """
    return dict(
        images=len(correct),
        error=float(1 - correct.mean()),
        thresholds=[
            [t, *rejection_threshold(correct, uncertainty, t)] for t in TARGETS
        ],
        counts=as_stored(risk_table(correct, uncertainty)),
    )


def measure_held_out(
    scores: np.ndarray, labels: np.ndarray, uncertainty: np.ndarray
) -> Dict[str, dict]:
    """Fit the temperature, and measure thresholds and quantiles, on held-out images.

    The temperature is fitted to every fourth image. All else is measured on the
    others, because a promise holds only for images to which nothing was fitted. With
    fewer than 400 images the temperature stays 1, and all of them are measured.

    Args:
        scores (np.ndarray): Probabilities of the model, float32 (N, C).
        labels (np.ndarray): Given labels, int (N, ).
        uncertainty (np.ndarray): Uncertainty of each prediction (N, ).

    Returns:
        dict[str, dict]: ``rejection``, see :func:`threshold_table`; and
        ``calibration``, which :func:`read_calibration` reads. ``error_before`` and
        ``error_after`` are expected calibration errors with 15 bins, and
        ``likelihood_before`` and ``likelihood_after`` are means of -log p.
    """
    confidence = bool(np.allclose(uncertainty, 1 - scores.max(axis=1), atol=1e-6))
    fitted = np.arange(len(labels)) % FITTING_STEP == FITTING_STEP - 1
    if fitted.sum() < FEWEST_FITTED:
        fitted[:] = False
    temperature = 1.0
    if fitted.any():
        temperature = fit_temperature(scores[fitted], labels[fitted])
    before, given = scores[~fitted], labels[~fitted]
    predicted = Calibration(temperature, confidence).apply(
        dict(
            pred_score=torch.from_numpy(before),
            uncertainty=torch.from_numpy(uncertainty[~fitted]),
        )
    )
    after = predicted['pred_score'].numpy()
    correct = after.argmax(axis=1) == given
    calibration: Dict[str, Any] = dict(
        temperature=temperature,
        fitted_images=int(fitted.sum()),
        images=len(given),
        uncertainty='confidence' if confidence else 'own',
    )
    for name, values in (('before', before), ('after', after)):
        error = expected_calibration_error(values.max(axis=1), correct)[0]
        calibration[f'error_{name}'] = error
        calibration[f'likelihood_{name}'] = negative_log_likelihood(values, given)
    rows: List[list] = [list(row) for row in quantile_table(after, given)]
    return dict(
        rejection=threshold_table(correct, predicted['uncertainty'].numpy()),
        calibration=dict(calibration, quantiles=rows),
    )


def describe_calibration(rejection: dict, calibration: dict) -> str:
    """Describe what was measured on held-out images, for people.

    Args:
        rejection (dict): See :func:`measure_held_out`.
        calibration (dict): See :func:`measure_held_out`.
    """
    lines = [
        f'{1 - rejection["error"]:.2%} of {rejection["images"]} held-out images are '
        'predicted as labelled.'
    ]
    if calibration['fitted_images']:
        lines.append(
            f'Temperature {calibration["temperature"]:.3f}, fitted to '
            f'{calibration["fitted_images"]} further images: expected calibration '
            f'error {calibration["error_after"]:.2%} instead of '
            f'{calibration["error_before"]:.2%}.'
        )
    else:
        lines.append(
            f'Temperature 1: fitting it takes {FITTING_STEP * FEWEST_FITTED} held-out '
            'images. Expected calibration error '
            f'{calibration["error_before"]:.2%}.'
        )
    table = stored_risk_table(rejection)
    for target in (0.05, 0.1, 0.15, 0.2):
        found = promise_threshold(table, target)
        lines.append(
            f'    at most {target:.0%} errors, with probability 0.95: '
            + (
                'no threshold'
                if found is None
                else f'reject above {found.threshold:.4g}, {found.share:.0%} are kept'
            )
        )
    return '\n'.join(lines)
