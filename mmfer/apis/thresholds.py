"""Thresholds of the uncertainty that a published model comes with."""

import sys
from typing import Any, Optional

from mmfer.evaluation.selective import (
    images_needed,
    promise_threshold,
    stored_risk_table,
)
from mmfer.utils.checks import is_number
from mmfer_command.shipped import shipped_tool

# Tool that finds the thresholds of a checkpoint.
PUBLISH = 'model_converters/publish_model.py'
# Error rates among which the lowest that can be promised is looked for.
TARGETS = [n / 200 for n in range(1, 200)]


def find_threshold(
    stored: Optional[dict], target_error: Any, confidence: Any = 0.95
) -> float:
    """Find the value of ``reject_above`` that keeps a given error rate.

    Args:
        stored (dict, optional): ``rejection`` of a published checkpoint, see
            :func:`~mmfer.apis.calibrated.threshold_table`.
        target_error (float): Largest share of errors among predictions that
            are not rejected, in (0, 1).
        confidence (float, optional): Probability with which this holds, see
            :func:`~mmfer.evaluation.selective.promise_threshold`. None: the
            threshold that keeps the error rate on the held-out images; on new
            images, about half of such thresholds have a higher one.

    Returns:
        float: Threshold of the uncertainty, a positive number.

    Raises:
        ValueError: An argument is not in (0, 1), there is no table, or no
            threshold gives so few errors.
    """
    if not is_number(target_error) or not 0 < target_error < 1:
        raise ValueError(
            'target_error must be a share of errors in (0, 1), such as '
            f'0.05 for 5 %, got {target_error!r}'
        )
    if confidence is not None and (not is_number(confidence) or not 0 < confidence < 1):
        raise ValueError(
            'confidence must be a probability in (0, 1), such as 0.95, or None for '
            f'thresholds without a promise, got {confidence!r}'
        )
    if not stored:
        raise ValueError(
            'this checkpoint comes without thresholds. They are found on training '
            'images that the run has not used: train with fewer '
            '(train_dataloader.dataset.indices), then python '
            f'{shipped_tool(PUBLISH)} CONFIG CHECKPOINT OUT --held-out NUMBER'
        )
    found = (
        _on_average(stored, target_error)
        if confidence is None
        else _promised(stored, target_error, confidence)
    )
    # The threshold is 0 if no image is uncertain, but reject_above must be
    # positive.
    return max(found, sys.float_info.min)


def _promised(stored: dict, target_error: float, confidence: float) -> float:
    """Return the largest threshold whose error rate is promised."""
    table = stored_risk_table(stored)
    found = promise_threshold(table, target_error, confidence)
    if found is not None:
        return found.threshold
    needed = images_needed(table, target_error, confidence)
    higher = (t for t in TARGETS if t > target_error)
    lowest = next((t for t in higher if promise_threshold(table, t, confidence)), None)
    raise ValueError(
        f'no threshold promises an error rate of {target_error:.1%} or below with '
        f'probability {confidence:g} from {table.images} held-out images'
        + (f'; the lowest that can be promised is {lowest:.1%}. ' if lowest else '. ')
        + (
            'The surest predictions are wrong too often for it, so that more images '
            'would hardly help: give a larger target_error.'
            if needed is None or needed > 100 * table.images
            else f'About {_rounded_up(needed, table.images)} held-out images would do.'
        )
    )


def _rounded_up(needed: int, images: int) -> int:
    """Return a number of images with two digits, as an estimate is no better.

    Args:
        needed (int): Estimate.
        images (int): Number of images that were too few.
    """
    needed = max(needed, 3 * images // 2)
    unit = 10 ** max(len(str(needed)) - 2, 0)
    return -(-needed // unit) * unit


def _on_average(stored: dict, target_error: float) -> float:
    """Return the largest threshold that keeps the error rate on held-out images."""
    rows = [
        row
        for row in stored['thresholds']
        if row[0] <= target_error + 1e-9 and row[2] > 0
    ]
    if rows:
        return float(max(rows)[1])
    lowest = min((r[0] for r in stored['thresholds'] if r[2] > 0), default=None)
    raise ValueError(
        f'no threshold keeps the error rate at {target_error:.1%} or below: '
        f'on {stored["images"]} held-out images '
        + (
            'no threshold keeps any image.'
            if lowest is None
            else f'the lowest error rate was {lowest:.1%}. Give a larger target_error.'
        )
    )
