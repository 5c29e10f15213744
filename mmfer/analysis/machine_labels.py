"""Predict labels for the images of another data set, and write them as lists."""

import os.path as osp
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mmfer.apis.checkpoints import read_checkpoint
from mmfer.datasets import FERDataset, unaugmented
from mmfer.engine.scoring import batches_in_order
from mmfer.registry import DATASETS, MODELS
from mmfer.utils.files import write_atomic

SYNONYMS = dict(
    happy='happiness',
    sad='sadness',
    angry='anger',
    surprised='surprise',
    disgusted='disgust',
    fearful='fear',
    calm='neutral',
)
"""Other names of expressions in data sets, and the common name of each."""

LABEL_SETTINGS = (
    'noisy_list',
    'va_list',
    'table',
    'label_noise',
    'va_noise',
    'decisions',
)
"""Settings of data sets that replace or change the labels; they are removed."""


# -- pure computation ---------------------------------------------------------
def common_name(name: str) -> str:
    """Return the common name of an expression.

    Args:
        name (str): Name that a data set uses.
    """
    name = name.strip().lower()
    return SYNONYMS.get(name, name)


def match_classes(source: Sequence[str], target: Sequence[str]) -> Dict[int, int]:
    """Match the classes of a model with those of a data set, by name.

    Args:
        source (Sequence[str]): Class names of the model.
        target (Sequence[str]): Class names of the data set.

    Returns:
        dict[int, int]: Label of the data set by label of the model, for the
        shared classes.

    Raises:
        ValueError: Fewer than two classes are shared.
    """
    position = {common_name(name): i for i, name in enumerate(target)}
    shared = {
        i: position[common_name(name)]
        for i, name in enumerate(source)
        if common_name(name) in position
    }
    if len(shared) < 2:
        raise ValueError(
            f'the model has the classes {", ".join(source)}, and the data set has '
            f'{", ".join(target)}. They share fewer than two classes. Name '
            'a model that recognises the same expressions.'
        )
    return shared


def translate(scores: np.ndarray, shared: Dict[int, int]) -> np.ndarray:
    """Return the most probable shared class of each sample.

    Args:
        scores (np.ndarray): Scores of the model's classes, (N, C).
        shared (dict[int, int]): See :func:`match_classes`.

    Returns:
        np.ndarray: Labels of the data set, int64 (N,).
    """
    source = np.array(sorted(shared))
    target = np.array([shared[i] for i in source.tolist()])
    return target[scores[:, source].argmax(axis=1)]


# -- models and data sets -------------------------------------------------------
class ImagePredictions(NamedTuple):
    """Predictions of a model for the images of a data set.

    Attributes:
        sample_id (np.ndarray): int64 (N,), ascending.
        scores (np.ndarray): Probabilities of the model's classes, (N, C).
        va (np.ndarray, optional): Valence and arousal, (N, 2); None if the
            model does not predict them.
    """

    sample_id: np.ndarray
    scores: np.ndarray
    va: Optional[np.ndarray]


def predict_images(
    cfg: Config, checkpoint: str, dataset: FERDataset
) -> ImagePredictions:
    """Predict the images of a data set through the test pipeline of a model.

    Args:
        cfg (Config): Config of the model.
        checkpoint (str): Path of its weights.
        dataset (FERDataset): Data set whose images are predicted.
    """
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    model.to(get_device()).eval()
    pipeline = DATASETS.build(
        dict(cfg.test_dataloader.dataset, lazy_init=True)
    ).pipeline
    loader = cfg.test_dataloader
    ids, scores, va = [], [], []
    with torch.inference_mode():
        for batch in batches_in_order(
            unaugmented(dataset, pipeline),
            loader.batch_size,
            loader.num_workers,
            loader.collate_fn,
        ):
            for sample in model.test_step(batch):
                ids.append(int(sample.sample_id))
                scores.append(sample.pred_score.cpu().numpy())
                if 'pred_va' in sample:
                    va.append(sample.pred_va.cpu().numpy())
    order = np.argsort(ids)
    return ImagePredictions(
        np.array(ids)[order],
        np.stack(scores)[order],
        np.stack(va)[order] if va else None,
    )


def checkpoint_classes(checkpoint: str, cfg: Config) -> Sequence[str]:
    """Return the class names of a model.

    Args:
        checkpoint (str): Path of its weights. The names are read from here if
            the checkpoint has them.
        cfg (Config): Config of the model; otherwise its test set has the names.
    """
    meta = read_checkpoint(checkpoint).get('meta', {})
    names = (meta.get('dataset_meta') or {}).get('classes')
    if names is None:
        names = DATASETS.build(
            dict(cfg.test_dataloader.dataset, lazy_init=True)
        ).CLASSES
    return names


def build_image_set(cfg: Config) -> FERDataset:
    """Build the training set of a config without :data:`LABEL_SETTINGS`.

    Args:
        cfg (Config): Training config; changed in place.

    Raises:
        ValueError: The data set has no list format for labels.
    """
    init_default_scope('mmfer')
    settings = cfg.train_dataloader.dataset
    for name in LABEL_SETTINGS:
        settings.pop(name, None)
    dataset = DATASETS.build(settings)
    if dataset.list_suffix is None:
        raise ValueError(
            f'{type(dataset).__name__} has no list format, so labels cannot be '
            'written for it. Name a config of a data set with image files.'
        )
    return dataset


# -- files ----------------------------------------------------------------------
def write_labels(
    out: str, dataset: FERDataset, found: ImagePredictions, shared: Dict[int, int]
) -> List[str]:
    """Write lists of predicted labels, and of valence and arousal if predicted.

    Args:
        out (str): Folder for the lists.
        dataset (FERDataset): Data set with its own labels.
        found (ImagePredictions): Predictions for its images.
        shared (dict[int, int]): See :func:`match_classes`.

    Returns:
        list[str]: A message about each file.
    """
    ids, labels = found.sample_id, translate(found.scores, shared)
    path = osp.join(out, f'labels{dataset.list_suffix}')
    changes = dataset.write_list(path, ids.tolist(), labels.tolist())
    changed = (labels != dataset.given_labels[ids]).mean()
    said = [
        f'{path}: {len(ids)} images; {changed:.1%} of the predicted labels differ '
        "from the data set's own. Settings of the data set: "
        + ', '.join(f'{k}={v!r}' for k, v in changes.items() if v is not None)
    ]
    if found.va is not None:
        paths = dataset.image_paths.take(dataset.positions_of(ids))
        names = list(map(osp.basename, paths))
        path = osp.join(out, 'va.txt')
        write_va_list(path, names, found.va)
        outside = (np.abs(found.va) > 1).any(axis=1).mean()
        said.append(f'{path}: valence and arousal, {outside:.1%} of the pairs clipped')
    return said


def write_va_list(path: str, names: Sequence[str], va: np.ndarray) -> None:
    """Write rows such as ``train_00001.jpg -0.341 -0.129``, clipped to [-1, 1].

    Args:
        path (str): File to write.
        names (Sequence[str]): Names of images, (N,).
        va (np.ndarray): Valence and arousal, (N, 2).
    """
    rows = [
        f'{name} {valence:.6f} {arousal:.6f}\n'
        for name, (valence, arousal) in zip(names, va.clip(-1, 1), strict=True)
    ]
    write_atomic(path, ''.join(rows).encode())
