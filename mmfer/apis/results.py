"""Results of ``FERInferencer``: dicts, thresholds and pictures."""

import os
import os.path as osp
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import cv2
import numpy as np

from mmfer.datasets.images import read_image
from mmfer.utils.checks import is_number

from .drawing import draw_results


def describe_predictions(
    predictions: Dict[str, np.ndarray],
    classes: Optional[Sequence[str]] = None,
    reject_above: Optional[float] = None,
) -> List[Dict[str, Any]]:
    """Return the results of a batch, a dict for each image.

    Args:
        predictions (dict[str, np.ndarray]): ``pred_score`` (B, C),
            ``uncertainty`` (B, ) and ``pred_va`` (B, 2), as far as the model
            has them.
        classes (Sequence[str], optional): Names of the classes.
        reject_above (float, optional): Results get ``rejected``: whether
            their uncertainty is larger than this.

    Returns:
        list[dict]: See :class:`FERInferencer` for the keys.

    Raises:
        ValueError: ``reject_above`` is given, and the model has no
            uncertainty.
    """
    if 'pred_score' not in predictions:
        if reject_above is not None:
            raise ValueError(
                'reject_above: this model predicts valence and arousal '
                'only, without an uncertainty. Leave reject_above out.'
            )
        return [
            dict(valence=valence, arousal=arousal)
            for valence, arousal in predictions['pred_va'].tolist()
        ]
    scores = predictions['pred_score']
    labels = scores.argmax(axis=1).tolist()
    best = scores.max(axis=1).tolist()
    # Classifiers of mmpretrain predict no uncertainty.
    uncertainties = (
        predictions['uncertainty'].tolist()
        if 'uncertainty' in predictions
        else [1 - score for score in best]
    )
    results = []
    for label, score, row, uncertainty in zip(
        labels, best, scores, uncertainties, strict=True
    ):
        result = dict(pred_label=label, pred_score=score)
        if classes is not None:
            result['pred_class'] = classes[label]
        result.update(pred_scores=row, uncertainty=uncertainty)
        results.append(result)
    if 'pred_va' in predictions:
        for result, values in zip(
            results, predictions['pred_va'].tolist(), strict=True
        ):
            result['valence'], result['arousal'] = values
    if reject_above is not None:
        for result in results:
            result['rejected'] = result['uncertainty'] > reject_above
    return results


def find_threshold(table: Optional[dict], target_error: Any) -> float:
    """Find the uncertainty above which to reject, for a wanted error rate.

    Args:
        table (dict, optional): ``rejection`` of a published checkpoint: the
            number of held-out ``images``, and ``thresholds``, rows of (error
            rate, threshold, share of images that are kept).
        target_error (float): Largest share of errors among predictions that
            are not rejected, in (0, 1).

    Returns:
        float: A positive number, for ``reject_above``.

    Raises:
        ValueError: ``target_error`` is not in (0, 1), there is no table, or
            no share of the images has so few errors.
    """
    if not is_number(target_error) or not 0 < target_error < 1:
        raise ValueError(
            'target_error must be a share of errors in (0, 1), such as '
            f'0.05 for 5 %, got {target_error!r}'
        )
    if not table:
        raise ValueError(
            'this checkpoint comes without thresholds. Find them on '
            'images held out from its training: python '
            'tools/model_converters/publish_model.py CONFIG CHECKPOINT '
            'OUT --held-out NUMBER'
        )
    # Keep the rows whose error rate stays below the target.
    rows = [
        row
        for row in table['thresholds']
        if row[0] <= target_error + 1e-9 and row[2] > 0
    ]
    if not rows:
        lowest = min((r[0] for r in table['thresholds'] if r[2] > 0), default=None)
        raise ValueError(
            f'no threshold keeps the error at {target_error:.1%}: among '
            f'{table["images"]} held-out images '
            + (
                'none does.'
                if lowest is None
                else f'the lowest that was reached is {lowest:.1%}.'
            )
        )
    # The threshold is 0 where no image is uncertain, and reject_above must be
    # positive.
    return max(float(max(rows)[1]), sys.float_info.min)


def write_pictures(sources: list, results: list, show_dir: str) -> None:
    """Draw results on images, and write them as PNG files.

    Args:
        sources (list): The images.
        results (list[dict | list[dict]]): Their results; several dicts where
            faces were detected. Images with an ``error`` get no file.
        show_dir (str): Folder. Files have a number and the name of the
            image's file.
    """
    make_folder(show_dir)
    for number, (source, result) in enumerate(zip(sources, results, strict=True)):
        if isinstance(result, dict):
            if 'error' in result:
                continue
            result = [result]
        name = Path(source).stem if isinstance(source, (str, os.PathLike)) else 'image'
        picture = draw_results(read_image(source), result)
        path = osp.join(show_dir, f'{number:05d}_{name}.png')
        if not cv2.imwrite(path, picture):
            raise OSError(f'{path} could not be written.')


def make_folder(path: str) -> None:
    """Make a folder for pictures.

    Raises:
        ValueError: It cannot be made, for example because a file has its name.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f'show_dir={os.fspath(path)!r} cannot be a folder '
            f'({error.strerror}). Name another one.'
        ) from error
