"""Record of a published model: what made it, what it was measured to do."""

import datetime
import math
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
from mmengine.config import Config

from mmfer.datasets import FERDataset
from mmfer.datasets.terms import TERMS
from mmfer.engine.provenance import config_hash, deciding
from mmfer.engine.run_record import describe_data, labels_hash
from mmfer.registry import DATASETS

NO_NOISE = 'none planted'
# A fact that nobody knows is written as 'unknown: REASON'.
UNKNOWN = re.compile(r'unknown: .*\S')
DATE = re.compile(r'\d{4}-\d\d-\d\d')
SHA256 = re.compile(r'[0-9a-f]{64}')


class Item(NamedTuple):
    """One fact that a complete record states.

    Attributes:
        key (str): Its place in the record; a dot leads into a dict.
        what (str): What it is.
        source (str): Where it comes from, for the message that it is missing.
        may_be_unknown (bool): Whether ``unknown: REASON`` is accepted.
    """

    key: str
    what: str
    source: str
    may_be_unknown: bool = False


_RUN = 'summary.json of the run, beside CHECKPOINT or behind --summary'
_SAME = f'{_RUN}, if it holds for all epochs (see its segments)'
_FACTS = 'a file --facts'
_FILE = 'publish_model.py, when it writes the weights'
_TERMS = f'mmfer/datasets/terms.py, or {_FACTS}'

ITEMS = (
    Item('name', 'name of the model', 'OUT'),
    Item('method', 'folder in mmfer/methods', f'the name of the config, or {_FACTS}'),
    Item('config', 'name of the config', _RUN),
    Item('config_sha256', 'hash of the config of the run', _SAME),
    Item('published_config_sha256', 'hash of the config given now', 'CONFIG'),
    Item('seed', 'seed of the run', _RUN),
    Item('labels_sha256', 'hash of the labels trained on', _SAME),
    Item('label_noise', 'manifest of the planted noise', 'label_noise.json of the run'),
    Item('data.name', 'data set', _TERMS),
    Item('data.terms', 'licence note of the data set', _TERMS, True),
    Item('data.annotators', 'who labelled the images', _TERMS, True),
    Item('data.training_images', 'number of images trained on', 'the training set'),
    Item('data.training_labels', 'number of images per label', 'the training set'),
    Item('classes', 'names of the classes', 'the model'),
    Item('input', 'size and preparation of an image', 'CONFIG'),
    Item('metrics', 'last value and mean of the last epochs', _RUN),
    Item('averaged_epochs', 'number of epochs in this mean', _RUN),
    Item('evaluation', 'counts by class of the stored weights', 'the test set'),
    Item('versions', 'versions of the packages', _RUN),
    Item('epochs', 'number of epochs', _RUN),
    Item('file.name', 'name of the file of weights', _FILE),
    Item('file.sha256', 'hash of the file of weights', _FILE),
    Item('file.bytes', 'size of the file of weights', _FILE),
    Item('file.precision', 'type of the weights', _FILE),
    Item('model_card', 'file of the model card', '--model-card'),
    Item('date', 'day of the publication, YYYY-MM-DD', f'today, or {_FACTS}', True),
)
# Entries of the summary that the record takes over.
TAKEN = ('averaged_epochs', 'epochs', 'seconds', 'noise_auroc', 'cleaning', 'segments')
# Facts of --facts that no file knows.
FACTS = ('method', 'data_name', 'data_terms', 'annotators', 'date', 'config_note')


def build_record(
    name: str,
    cfg: Config,
    summary: dict,
    evaluation: Optional[dict],
    noise: Optional[dict],
    facts: Dict[str, str],
) -> dict:
    """Collect what is known about a model; :func:`missing_items` says what is not.

    Args:
        name (str): Name of the model.
        cfg (Config): Config that the weights are published with.
        summary (dict): ``summary.json`` of the run.
        evaluation (dict, optional): See :func:`mmfer.apis.evaluated_weights.
            evaluate_weights`; None if it was not evaluated.
        noise (dict, optional): ``label_noise.json`` of the run; None if there is no
            such file.
        facts (dict[str, str]): Values for :data:`FACTS`. They win over what is
            found.

    Returns:
        dict: The record without ``file`` and ``model_card``.
    """
    settings = cfg.train_dataloader.dataset
    terms = TERMS.get(settings.get('type', ''))
    plain = noise is None and not _plants_noise(settings)
    record = dict(
        name=name,
        method=facts.get('method') or method_of(summary.get('config')),
        **{
            key: summary.get(key)
            for key in ('config', 'config_sha256', 'seed', 'labels_sha256')
        },
        published_config_sha256=config_hash(cfg),
        config_note=facts.get('config_note'),
        label_noise=NO_NOISE if plain else noise,
        data=dict(
            name=facts.get('data_name') or (terms and terms.name),
            terms=facts.get('data_terms') or (terms and terms.terms),
            annotators=facts.get('annotators') or (terms and terms.annotators),
        ),
        input=input_of(cfg),
        metrics={
            metric: {k: v for k, v in values.items() if k != 'best'}
            for metric, values in summary.get('metrics', {}).items()
        },
        **{key: summary.get(key) for key in (*TAKEN, 'versions')},
        evaluation=evaluation,
        date=facts.get('date') or datetime.date.today().isoformat(),
    )
    return record


def _plants_noise(settings: Any) -> bool:
    """Whether the config of a data set changes its labels."""
    return any(settings.get(key) for key in ('label_noise', 'noisy_list'))


def method_of(config: Optional[str]) -> Optional[str]:
    """Return the method in the name of a config; None if there is no such method."""
    import mmfer.methods

    method = (config or '').split('_')[0]
    folder = Path(mmfer.methods.__path__[0], method)
    return method if method and (folder / '__init__.py').is_file() else None


def input_of(cfg: Config) -> dict:
    """Return the size and the preparation of an image before the network.

    Args:
        cfg (Config): Config with ``data_preprocessor`` and ``test_dataloader``.
    """
    prepared = cfg.get('data_preprocessor') or cfg.model.get('data_preprocessor') or {}
    steps = cfg.test_dataloader.dataset.get('pipeline') or []
    return dict(
        shape=list(prepared.get('input_shape', [])) or None,
        mean=list(prepared.get('mean') or []),
        std=list(prepared.get('std') or []),
        preparation=[deciding(step) for step in steps],
    )


def training_facts(cfg: Config, summary: dict, number: int) -> dict:
    """Count the training images, and compare their labels with those of the run.

    Args:
        cfg (Config): Config with ``train_dataloader``.
        summary (dict): ``summary.json`` of the run.
        number (int): Number of classes, K.

    Returns:
        dict: ``training_images``, and ``training_labels``, the number of images with
        each label, K entries. Planted noise is in these labels.

    Raises:
        ValueError: The labels or images at hand are not those of the run.
    """
    dataset: FERDataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.full_init()
    found = labels_hash(dataset)
    trained = summary.get('labels_sha256')
    if trained is not None and found != trained:
        raise ValueError(
            f'the training labels of {cfg.filename or "the config"} have the hash '
            f'{str(found)[:12]}..., but the run was trained on '
            f'{trained[:12]}...: this is another data set, another noise, or another '
            'config. Give the config in the work dir of the run, and the same data.'
        )
    # The hash of the labels is that of the full list, also of a run on a part of it.
    used = {part.get('data_sha256') for part in summary.get('segments') or []} - {None}
    if used and used != {describe_data(dataset)['sha256']}:
        raise ValueError(
            f'the {len(dataset)} training images of {cfg.filename or "the config"} are '
            'not those of the run: their number, names or files differ. Give the '
            'config in the work dir of the run, and the same images.'
        )
    classes = np.bincount(dataset.get_gt_labels(), minlength=number)
    return dict(training_images=len(dataset), training_labels=classes.tolist())


def missing_items(record: dict) -> List[str]:
    """Return what a record lacks, a line for each item; empty if it is complete.

    Args:
        record (dict): See :func:`build_record`, with ``file`` and ``model_card``.
    """
    lines = []
    for item in ITEMS:
        fault = _fault(record, item)
        if fault:
            lines.append(
                f'{item.key} ({item.what}): {fault}. It comes from {item.source}.'
            )
    if not lines:
        lines += _contradictions(record)
    # Said with the first list, so that nobody finds it out at the second attempt.
    ours = record.get('config_sha256')
    published = record.get('published_config_sha256')
    if ours and ours != published and not record.get('config_note'):
        lines.append(
            'config_note (why CONFIG differs from the config of the run): is missing. '
            f'Give the config in the work dir, or state the reason in {_FACTS}.'
        )
    return lines


def _fault(record: dict, item: Item) -> Optional[str]:
    """Return what is wrong with one item, or None."""
    value: Any = record
    for key in item.key.split('.'):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or value == '' or value == {} or value == []:
        return 'is missing'
    if isinstance(value, str) and value.lower().startswith('unknown'):
        if not item.may_be_unknown:
            return 'must be known'
        if not UNKNOWN.fullmatch(value):
            return 'is unknown without a reason; write "unknown: REASON"'
        return None
    if item.key == 'date' and not DATE.fullmatch(str(value)):
        return f'is {value!r}, no day'
    if item.key.endswith('sha256') and not SHA256.fullmatch(str(value)):
        return 'is no SHA-256 (64 digits)'
    if item.key == 'input' and not value.get('shape'):
        return 'has no shape: data_preprocessor.input_shape is not set'
    if item.key == 'metrics':
        for name, found in value.items():
            if 'last' not in found or not any(k.endswith('_mean') for k in found):
                return f'{name!r} lacks its last value or its mean'
            if not all(math.isfinite(v) for v in found.values()):
                return f'{name!r} is not a finite number'
    if item.key == 'evaluation' and not value['images']:
        return 'has no image'
    return None


def _contradictions(record: dict) -> List[str]:
    """Return which parts of a complete record contradict one another."""
    lines = []
    found, classes, trained = record['evaluation'], record['classes'], record['data']
    counts = [[c[k] for c in found['classes']] for k in ('images', 'correct')]
    matrix = found['confusion']
    for what, one, other in (
        ('class names', [c['name'] for c in found['classes']], list(classes)),
        ('images', sum(counts[0]), found['images']),
        ('correct predictions', sum(counts[1]), found['correct']),
        (
            'training images',
            sum(trained['training_labels']),
            trained['training_images'],
        ),
        ('rows of the confusion', [sum(row) for row in matrix], counts[0]),
        ('its diagonal', [row[k] for k, row in enumerate(matrix)], counts[1]),
    ):
        if one != other:
            lines.append(f'{what}: {one} contradicts {other}.')
    return lines
