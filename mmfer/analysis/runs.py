"""Trainings and their predictions, as figures need them."""

import json
import os.path as osp
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from mmfer.apis.checkpoints import load_weights
from mmfer.apis.hub import get_model
from mmfer.datasets import FERDataset
from mmfer.datasets.images import read_image
from mmfer.registry import DATASETS
from mmfer.utils.devices import choose_device
from mmfer.utils.text_tables import read_class_names

from .predictions import Predictions, read_predictions

PREDICTIONS = 'predictions.pkl'


class Run(NamedTuple):
    """A test run.

    Attributes:
        name (str): Of its folder or file.
        predictions (Predictions): What it predicted.
        config (Config, optional): That of the folder.
    """

    name: str
    predictions: Predictions
    config: Optional[Config]

    @property
    def classes(self) -> List[str]:
        """Names of the classes, or numbers where no config says them."""
        count = self.predictions.scores.shape[1]
        if self.config is not None:
            settings = self.config.test_dataloader.dataset
            classes = settings.get('classes') or getattr(
                DATASETS.get(settings.type), 'METAINFO', {}
            ).get('classes')
            if isinstance(classes, str):
                classes = read_class_names(classes) if osp.isfile(classes) else None
            if classes is not None and len(classes) == count:
                return list(classes)
        return [str(k) for k in range(count)]

    def images(self, positions: Sequence[int]) -> Dict[int, np.ndarray]:
        """Images by position, RGB or grey, from their files or the data set.

        Raises:
            ValueError: There are neither.
        """
        images = {}
        dataset = None
        for i in map(int, positions):
            path = self.predictions.images[i]
            if osp.isfile(path):
                images[i] = read_image(path)[..., ::-1]
                continue
            if dataset is None:
                dataset = self.dataset()
            info = dataset.get_data_info(i)
            if 'img' not in info:
                raise ValueError(
                    f'{self.name}: the image {path!r} is not there; run this '
                    'where the data set is.'
                )
            image = info['img']
            images[i] = image if image.ndim == 2 else image[..., ::-1]
        return images

    def dataset(self) -> FERDataset:
        """The evaluation set of the config."""
        if self.config is None:
            raise ValueError(
                f'{self.name}: no config lies beside the predictions, so '
                'the images are not known. Name a work dir that holds both.'
            )
        init_default_scope('mmfer')
        return DATASETS.build(self.config.test_dataloader.dataset)


def open_run(path: str) -> Run:
    """Predictions by their file, or by the work dir that they lie in.

    Args:
        path (str): ``*.pkl``, or a folder with ``predictions.pkl``.

    Raises:
        FileNotFoundError: There are none; says how to make them.
        ValueError: See :func:`read_predictions`.
    """
    folder, file = (
        (path, osp.join(path, PREDICTIONS))
        if osp.isdir(path)
        else (osp.dirname(path), path)
    )
    configs = sorted(Path(folder or '.').glob('*.py'))
    config = configs[0] if len(configs) == 1 else None
    if osp.isdir(path) and not osp.isfile(file):
        checkpoint = Path(folder) / 'last_checkpoint'
        checkpoint = (
            checkpoint.read_text().strip() if checkpoint.is_file() else 'CHECKPOINT'
        )
        raise FileNotFoundError(
            f'{path} has no {PREDICTIONS}. This makes it: python '
            f'tools/test.py {config or "CONFIG"} {checkpoint} --out {file}'
        )
    name = (
        osp.basename(osp.abspath(folder))
        if osp.basename(file) == PREDICTIONS
        else Path(file).stem
    )
    return Run(
        name,
        read_predictions(file),
        None if config is None else Config.fromfile(config),
    )


def open_runs(paths: Sequence[str]) -> Dict[str, Run]:
    """Several of them by name; equal names are numbered."""
    runs = list(map(open_run, paths))
    return dict(zip(distinct([run.name for run in runs]), runs))


def distinct(names: Sequence[str]) -> List[str]:
    """The same names, equal ones numbered from the second on."""
    found: List[str] = []
    for name in names:
        new, number = name, 2
        while new in found:
            new, number = f'{name} ({number})', number + 1
        found.append(new)
    return found


def read_jsons(folders: Sequence[str], file: str) -> dict:
    """:func:`read_json` of several work dirs, by their names."""
    names = distinct([osp.basename(osp.abspath(f)) for f in folders])
    return {name: read_json(folder, file) for name, folder in zip(names, folders)}


def open_model(
    config: str, checkpoint: str, options: Optional[dict] = None
) -> Tuple[Config, BaseModel]:
    """A config with its overrides, and its model with weights.

    The model is on the best device there is.

    Args:
        config (str): Path.
        checkpoint (str): Path.
        options (dict, optional): Overrides, with dots in their keys.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: A checkpoint of another model.
    """
    if not osp.isfile(config):
        raise FileNotFoundError(f'{config}: there is no such config.')
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options or {})
    model = get_model(cfg)
    load_weights(model, checkpoint)
    model.to(choose_device())
    init_default_scope('mmfer')
    return cfg, model


def read_json(folder: str, file: str):
    """``summary.json`` or ``history.json`` of a work dir.

    Raises:
        FileNotFoundError: The training has not written it (yet).
    """
    path = osp.join(folder, file)
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{path} is not there; trainings write history.json after each '
            'epoch and summary.json at the end (python tools/train.py '
            'CONFIG).'
        )
    with open(path) as opened:
        return json.load(opened)
