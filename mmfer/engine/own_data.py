"""The flag ``--data``: a folder or a list of images in place of a config's data set."""

import copy
import re
from typing import Any, Dict, Optional

from mmengine.config import Config

from mmfer.datasets.sources import find_data, num_classes_of

# From the name of the data set on, a config's name is that of its data.
_DATASET = re.compile(r'_(rafdb|rafbase|ferplus|affectnet|cifar|synthfaces).*')


def use_data(
    cfg: Config, path: str, val: Optional[str] = None, classes: Optional[str] = None
) -> Config:
    """Return the config with other images; everything else stays.

    Noise, splits and lists of the config's own data set are dropped. Images are
    prepared by the pipelines of the config, which resize them. Damaged images are
    skipped, with a warning that names them.

    Args:
        cfg (Config): Training config; it is not changed.
        path (str): Folder or list of images, see
            :func:`~mmfer.datasets.sources.find_data`.
        val (str, optional): Folder or list of images for evaluation. Defaults to None:
            that of the folder, or a held-out tenth.
        classes (str, optional): Names of the classes between commas, or a file with
            one name per line.

    Raises:
        FileNotFoundError, ValueError: See :func:`~mmfer.datasets.sources.find_data`.
        ValueError: The config trains on valence and arousal, or on several data sets.
    """
    names = classes.split(',') if classes and ',' in classes else classes
    source = find_data(path, val, names)
    cfg = copy.deepcopy(cfg)
    for loader, settings in (
        ('train_dataloader', source.train),
        ('val_dataloader', source.val),
        ('test_dataloader', source.val),
    ):
        if cfg.get(loader) is not None:
            _replace(cfg[loader], settings)
    preprocessor = cfg.get('data_preprocessor') or {}
    cfg.data_preprocessor = dict(preprocessor, num_classes=num_classes_of(source.train))
    return cfg


def take_all(cfg: Config) -> None:
    """Put the held-out images into the training set, too; the config is changed.

    Labels are cleaned in all images, and a cleaning measures nothing on the others.
    """
    dataset = cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    dataset.pop('fold', None)


def name_with_data(stem: str, source_name: str) -> str:
    """Return the name of a config with the name of other data.

    Args:
        stem (str): Name of the config, such as ``ce_r18_synthfaces_noise30``.
        source_name (str): Name of the data, see :class:`Source`.
    """
    return f'{_DATASET.sub("", stem)}_{source_name}'


def _replace(loader: Dict[str, Any], settings: Dict[str, Any]) -> None:
    """Replace the data set of a loader, inside of its wrappers."""
    owner = loader
    while 'dataset' in owner['dataset']:
        owner = owner['dataset']
    old = owner['dataset']
    if 'datasets' in old:
        raise ValueError(
            f'--data: the config has a {old["type"]} of several data sets. Use a '
            'config with one data set.'
        )
    kept = {name: old[name] for name in ('pipeline', 'image_store') if name in old}
    owner['dataset'] = dict(settings, on_bad_image='skip', **kept)
