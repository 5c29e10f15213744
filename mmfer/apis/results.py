"""Make the results of ``FERInferencer``: dicts, thresholds and pictures."""

import os
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from torch import Tensor

from mmfer.datasets.images import read_image
from mmfer.utils.files import write_image

from .drawing import draw_results
from .images import Frame
from .reading import Entry
from .tracking import FRAME_RATE, Tracker, TrackSmoother


def to_numpy(predictions: Dict[str, Tensor]) -> Dict[str, np.ndarray]:
    """Return the predictions of a batch as arrays on the host, float32."""
    return {name: values.float().cpu().numpy() for name, values in predictions.items()}


def describe_predictions(
    predictions: Dict[str, np.ndarray],
    names: Sequence[str],
    classes: Optional[Sequence[str]] = None,
    reject_above: Optional[float] = None,
    set_above: Optional[float] = None,
) -> List[Dict[str, Any]]:
    """Return the results of a batch as one dict per face, of plain types.

    Args:
        predictions (dict[str, np.ndarray]): ``pred_score`` (B, C),
            ``uncertainty`` (B, ) and ``pred_va`` (B, 2), if the model predicts
            them.
        names (Sequence[str]): Keys of ``pred_scores``, one per class.
        classes (Sequence[str], optional): Names of the classes.
        reject_above (float, optional): Threshold of the uncertainty. Each
            result gets ``rejected``: whether its uncertainty is larger.
        set_above (float, optional): Smallest probability of the classes in
            ``pred_set``, the most probable first.

    Returns:
        list[dict]: Results; :class:`FERInferencer` lists the keys.

    Raises:
        ValueError: ``reject_above`` is given, but the model predicts no
            classes and has no uncertainty.
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
        labels, best, scores.tolist(), uncertainties, strict=True
    ):
        result = dict(pred_label=label, pred_score=score)
        if classes is not None:
            result['pred_class'] = classes[label]
        result['pred_scores'] = dict(zip(names, row, strict=True))
        result['uncertainty'] = uncertainty
        if set_above is not None:
            ranked = sorted(zip(row, names), key=lambda pair: -pair[0])
            result['pred_set'] = [name for value, name in ranked if value >= set_above]
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


def place_result(result: dict, source: dict, found: dict) -> dict:
    """Return a result that also says where its face is.

    Args:
        result (dict): See :func:`describe_predictions`.
        source (dict): See :func:`~mmfer.apis.images.describe_source`.
        found (dict): What the detector knows of the face: ``box``, ``face_score``.
    """
    found = dict(found)
    if 'box' in found:
        source = dict(source, box=list(found.pop('box')))
    return dict(source=source, **result, **found)


def follow(found: List[dict], tracker: Tracker, time: Optional[float]) -> List[dict]:
    """Return faces of a frame with the numbers of their tracks and smoothed boxes.

    Args:
        found (list[dict]): Faces, with ``box``.
        tracker (Tracker): It has seen the earlier frames.
        time (float, optional): Time of the frame, in seconds.
    """
    tracked = tracker.update(np.array([face['box'] for face in found]), time)
    return [
        dict(face, box=tuple(map(round, box)), track=track)
        for face, box, track in zip(
            found, tracked.boxes.tolist(), tracked.tracks, strict=True
        )
    ]


def smooth_predictions(
    parts: List[Dict[str, np.ndarray]],
    entries: Sequence[Entry],
    smoother: TrackSmoother,
    bounded: bool,
) -> List[Dict[str, np.ndarray]]:
    """Return the predictions of a batch, averaged over the tracks of the faces.

    Args:
        parts (list[dict[str, np.ndarray]]): Predictions of all faces, in order.
        entries (sequence[Entry]): Frames of the batch.
        smoother (TrackSmoother): It has seen the earlier frames.
        bounded (bool): Whether the uncertainty is one minus the largest score. It is
            then taken from the mean scores, not averaged.
    """
    faces = iter(
        (face['track'], entry.source)
        for entry in entries
        if not isinstance(entry.found, Exception)
        for face in entry.found
    )
    smoothed = []
    for part in parts:
        shapes = {name: values.shape for name, values in part.items()}
        table = np.concatenate(
            [v.reshape(len(v), -1).astype(np.float64) for v in part.values()], axis=1
        )
        for row, (track, source) in zip(table, faces):
            time = source.get('time', source.get('index', 0) / FRAME_RATE)
            row[:] = smoother(track, time, row)
        ends = np.cumsum([int(np.prod(shape[1:])) for shape in shapes.values()])
        columns = np.split(table, ends[:-1], axis=1)
        part = {
            name: values.reshape(shapes[name])
            for name, values in zip(shapes, columns, strict=True)
        }
        if bounded:
            part.pop('uncertainty', None)
        smoothed.append(part)
    return smoothed


def write_pictures(sources: list, results: list, show_dir: str) -> None:
    """Draw results on images, and write them as PNG files.

    Args:
        sources (list): The images.
        results (list[dict | list[dict]]): One result per image: a dict, or a
            list of dicts if faces were detected. An image with an ``error``
            gets no file.
        show_dir (str): Folder for the files. The name of a file has the number
            of the image and the name of the image's file.
    """
    make_folder(show_dir)
    for number, (source, result) in enumerate(zip(sources, results, strict=True)):
        write_picture(source, result, show_dir, number)


def write_picture(source: Any, result: Any, show_dir: str, number: int) -> None:
    """Draw the result of one image on it; see :func:`write_pictures`."""
    faces = result if isinstance(result, list) else [result]
    if any('error' in face for face in faces):
        return
    if isinstance(source, Frame):
        source = source.image
    name = Path(source).stem if isinstance(source, (str, os.PathLike)) else 'image'
    picture = draw_results(read_image(source), faces)
    path = osp.join(show_dir, f'{number:05d}_{name}.png')
    write_image(path, picture)


def make_folder(path: str) -> None:
    """Create the folder for pictures.

    Raises:
        ValueError: It cannot be created, for example because a file has this
            name.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f'show_dir={os.fspath(path)!r} cannot be a folder '
            f'({error.strerror}). Name another one.'
        ) from error
