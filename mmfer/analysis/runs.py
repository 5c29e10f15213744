"""Open work dirs of training and test runs, for figures and tables."""

import os.path as osp
import shlex
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from mmfer.apis.checkpoints import load_weights
from mmfer.apis.hub import get_model
from mmfer.datasets import FERDataset
from mmfer.datasets.images import read_image
from mmfer.registry import DATASETS
from mmfer.utils.checkpoint_names import read_last
from mmfer.utils.devices import choose_device
from mmfer.utils.json_files import read_history, read_summary
from mmfer.utils.text_tables import read_class_names
from mmfer_command.shipped import find_config

from .predictions import Predictions, read_predictions

PREDICTIONS = 'predictions.npz'
"""Name of the file with predictions in a work dir."""


class Run(NamedTuple):
    """Test run with its predictions and its config.

    Attributes:
        name (str): Name of its folder or file.
        predictions (Predictions): Predictions of the run.
        config (Config, optional): Config in its work dir; None if there is not
            exactly one, or if a file was named instead of a work dir.
    """

    name: str
    predictions: Predictions
    config: Optional[Config]

    @property
    def classes(self) -> List[str]:
        """Class names of the file or the config; numbers if neither has them."""
        count = self.predictions.scores.shape[1]
        if len(self.predictions.classes) == count:
            return list(self.predictions.classes)
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
        """Read images from their files or from the data set.

        Args:
            positions (Sequence[int]): Positions in the predictions.

        Returns:
            dict[int, np.ndarray]: Images by position, RGB (H, W, 3) or grey
            (H, W).

        Raises:
            ValueError: Neither has the image.
        """
        images = {}
        dataset: Optional[FERDataset] = None
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
                    f'{self.name}: the image {path!r} does not exist. Run the tool '
                    'on the machine that has the data set.'
                )
            image = info['img']
            images[i] = image if image.ndim == 2 else image[..., ::-1]
        return images

    def dataset(self) -> FERDataset:
        """Build the evaluation set of the config.

        Raises:
            ValueError: The run has no config.
        """
        if self.config is None:
            raise ValueError(
                f'{self.name}: no config is known, and the images have no files '
                'that are found. Name a work dir that has predictions and exactly '
                'one config (*.py), instead of a file.'
            )
        init_default_scope('mmfer')
        return DATASETS.build(self.config.test_dataloader.dataset)


def open_run(path: str) -> Run:
    """Open predictions by their file or their work dir.

    Args:
        path (str): File ``*.npz``, or a work dir with ``predictions.npz``. The
            config of a work dir is Python code that is run. A file may come from
            anywhere: nothing beside it is read.

    Raises:
        FileNotFoundError: There are no predictions. The message has the
            command that writes them.
        ValueError: See :func:`read_predictions`.
    """
    if not osp.isdir(path):
        file = Path(path)
        name = file.absolute().parent.name if file.name == PREDICTIONS else file.stem
        return Run(name, read_predictions(path), None)
    file = Path(path, PREDICTIONS)
    configs = sorted(Path(path).glob('*.py'))
    config = configs[0] if len(configs) == 1 else None
    if not file.is_file():
        checkpoint = read_last(path) or 'CHECKPOINT'
        old = (
            '; its predictions.pkl is not read, because a pickle can run code'
            if Path(path, 'predictions.pkl').is_file()
            else ''
        )
        raise FileNotFoundError(
            f'{path} has no {PREDICTIONS}{old}. To write it, run: mmfer test '
            f'{shlex.join([str(config or "CONFIG"), checkpoint, "--out", str(file)])}'
        )
    return Run(
        Path(path).absolute().name,
        read_predictions(str(file)),
        None if config is None else Config.fromfile(config),
    )


def open_runs(paths: Sequence[str]) -> Dict[str, Run]:
    """Open several runs.

    Args:
        paths (Sequence[str]): See :func:`open_run`.

    Returns:
        dict[str, Run]: By name, see :func:`distinct`.
    """
    runs = list(map(open_run, paths))
    return dict(zip(distinct([run.name for run in runs]), runs))


def distinct(names: Sequence[str]) -> List[str]:
    """Append numbers to repeated names; the second ``alum`` becomes ``alum (2)``.

    Args:
        names (Sequence[str]): (N,) names.

    Returns:
        list[str]: (N,) names in the same order, all different.
    """
    found: List[str] = []
    for name in names:
        new, number = name, 2
        while new in found:
            new, number = f'{name} ({number})', number + 1
        found.append(new)
    return found


def read_named_config(config: str) -> Config:
    """Read a config by its path, or by the name of a shipped one.

    Raises:
        FileNotFoundError: There is no such config.
    """
    path = find_config(config)
    if path is None:
        raise FileNotFoundError(
            f'{config}: this config does not exist. Give the path of a file, such as '
            'that in the work dir of a run, or a name that `mmfer models --configs` '
            'lists.'
        )
    return Config.fromfile(path)


def open_model(
    config: str, checkpoint: str, options: Optional[dict] = None
) -> Tuple[Config, BaseModel]:
    """Load a config with overrides, and its model with weights.

    The model is on the best device that is available.

    Args:
        config (str): Path of the config, or the name of a shipped one.
        checkpoint (str): Path of the weights.
        options (dict, optional): Overrides by dotted key.

    Raises:
        FileNotFoundError: The config does not exist.
        ValueError: The checkpoint belongs to another model.
    """
    cfg = read_named_config(config)
    cfg.merge_from_dict(options or {})
    model = get_model(cfg)
    load_weights(model, checkpoint)
    model.to(choose_device())
    init_default_scope('mmfer')
    return cfg, model


def read_json(folder: str, file: str) -> Any:
    """Read ``summary.json`` or ``history.json`` of a work dir.

    Args:
        folder (str): The work dir.
        file (str): Name of the file.

    Raises:
        FileNotFoundError: The run has not written the file (yet).
        ValueError: The file is damaged, or holds something else.
    """
    path = osp.join(folder, file)
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{path} does not exist. Name the work dir of a run: '
            '`mmfer train CONFIG` writes history.json after each epoch and '
            'summary.json at the end.'
        )
    return read_history(path) if file == 'history.json' else read_summary(path)


def read_jsons(folders: Sequence[str], file: str) -> Dict[str, Any]:
    """Read a file of several work dirs, see :func:`read_json`.

    Args:
        folders (Sequence[str]): The work dirs.
        file (str): Name of the file.

    Returns:
        dict[str, Any]: Contents by the names of the work dirs, see
        :func:`distinct`.
    """
    names = distinct([osp.basename(osp.abspath(f)) for f in folders])
    return {name: read_json(folder, file) for name, folder in zip(names, folders)}
