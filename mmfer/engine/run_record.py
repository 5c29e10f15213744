"""Describe a run: its labels, its data, its settings and its circumstances.

Every checkpoint has such a record, see
:class:`~mmfer.engine.hooks.provenance.ProvenanceHook`. All values are plain types, so
that checkpoints load with ``weights_only=True``.
"""

import hashlib
import json
import os.path as osp
import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.runner import Runner

from mmfer.datasets import FERDataset, fer_datasets

from .provenance import config_hash, deciding, package_versions

VERSION = 1
"""Version of the record."""

# Number of images whose sizes are compared. All sizes of a large set on a network
# folder would take minutes.
PROBES = 64
# Address in the text of an object. It differs in every process.
_ADDRESS = re.compile(r' at 0x[0-9a-f]+')


def describe_run(runner: Runner) -> Dict[str, Any]:
    """Return the record of a run as it is now.

    Args:
        runner (Runner): Runner with a built train loop.

    Returns:
        dict: ``version``; ``labels``, ``data`` and ``decisions``, each with a
        ``sha256`` and what people need to tell two of them apart; ``settings``, the
        flat :func:`deciding` config; ``config_sha256``; ``circumstances``.
    """
    dataset = runner.train_dataloader.dataset
    return dict(
        version=VERSION,
        labels=describe_labels(dataset),
        data=describe_data(dataset),
        decisions=describe_decisions(dataset),
        settings=flat_settings(runner.cfg),
        config_sha256=config_hash(runner.cfg),
        circumstances=circumstances(runner),
    )


# -- labels and data -----------------------------------------------------------
def labels_hash(dataset: Any) -> Optional[str]:
    """Return the SHA-256 of the given labels, in the order of the full list.

    Args:
        dataset: Training set, with any wrappers.

    Returns:
        str, optional: None if there is no data set of mmfer in it.
    """
    parts = [d.given_labels.astype('<i8').tobytes() for d in fer_datasets(dataset)]
    return hashlib.sha256(b''.join(parts)).hexdigest() if parts else None


def describe_labels(dataset: Any) -> Dict[str, Any]:
    """Describe the labels that a training set was given, with planted noise.

    Relabelling during the training changes nothing here.

    Args:
        dataset: Training set, with any wrappers.

    Returns:
        dict: ``sha256`` as in ``summary.json``; ``targets_sha256`` of valence, arousal
        and the labels of all annotators, None without them; ``counts`` per class; and
        the manifests of the planted ``noise``.
    """
    targets, found = hashlib.sha256(), False
    counts: List[int] = []
    noise: List[str] = []
    for inner in fer_datasets(dataset):
        for values in (inner.all_va, inner._labels.sets):
            if values is not None:
                found = True
                targets.update(np.ascontiguousarray(values).tobytes())
        number = np.bincount(inner.given_labels, minlength=inner.num_classes)
        counts += number.tolist()
        manifest = inner.noise_manifest()
        if manifest is not None:
            noise.append(_as_json(manifest))
    return dict(
        sha256=labels_hash(dataset),
        targets_sha256=targets.hexdigest() if found else None,
        counts=counts,
        noise=noise,
    )


def describe_data(dataset: Any) -> Dict[str, Any]:
    """Describe the samples of a training set before any cleaning.

    The hash covers number, order and names of the images, and the sizes of
    :data:`PROBES` of their files.

    Args:
        dataset: Training set, with any wrappers.
    """
    found = hashlib.sha256()
    first = None
    inners = list(fer_datasets(dataset))
    for inner in inners:
        source = inner.uncleaned or inner
        found.update(source.sample_ids.astype('<i8').tobytes())
        names = source.image_names()
        first = first or (names[0] if names else None)
        # No name has this character.
        found.update('\0'.join(names).encode('utf-8', 'surrogatepass'))
        for size in _probe(source):
            found.update(f'{size}\0'.encode())
    samples = sum(len(i.uncleaned or i) for i in inners) if inners else len(dataset)
    return dict(
        sha256=found.hexdigest() if inners else None, samples=samples, first=first
    )


def _probe(dataset: Any) -> Iterator[int]:
    """Yield the bytes of some images at even distances."""
    ids = dataset.sample_ids
    rows = (
        np.unique(np.linspace(0, len(ids) - 1, PROBES).astype(int)) if len(ids) else ()
    )
    paths = dataset.image_paths
    for row in map(int, rows):
        if dataset._images is not None:
            # The contents of images in memory are at hand.
            image = np.ascontiguousarray(dataset._images[ids[row]])
            yield int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], 'big')
        elif osp.isfile(paths[row]):
            yield osp.getsize(paths[row])


def describe_decisions(dataset: Any) -> Optional[Dict[str, Any]]:
    """Describe what a cleaning before the run has decided.

    Args:
        dataset: Training set, with any wrappers.

    Returns:
        dict, optional: ``sha256`` and the number of samples for each decision; None
        if there was no cleaning.
    """
    for inner in fer_datasets(dataset):
        if inner.label_decisions is not None:
            return _describe_columns(inner)
    return None


def _describe_columns(dataset: FERDataset) -> Dict[str, Any]:
    """Describe the decisions that were applied to a data set."""
    columns = dataset.label_decisions
    assert columns is not None
    order = np.argsort(columns['sample_id'], kind='stable')
    decision = np.asarray(columns['decision'])[order]
    # Only the labels of relabelled samples matter.
    label = np.where(decision == 'relabel', columns['suggested_label'][order], -1)
    found = hashlib.sha256(columns['sample_id'][order].astype('<i8').tobytes())
    found.update('\0'.join(map(str, decision)).encode())
    found.update(label.astype('<i8').tobytes())
    names, counts = np.unique(decision.astype(str), return_counts=True)
    numbers = dict(zip(names.tolist(), counts.tolist()))
    return dict(sha256=found.hexdigest(), counts=numbers)


# -- settings and circumstances ------------------------------------------------
def flat_settings(cfg: Config) -> Dict[str, str]:
    """Return the settings that decide the result, by dotted key.

    Args:
        cfg (Config): The whole config.

    Returns:
        dict[str, str]: Values as JSON, such as ``'0.1'`` for
        ``optim_wrapper.optimizer.lr``.
    """
    settings = deciding(cfg.to_dict())
    # A resumed run loads its own checkpoint, not the weights that it started from.
    settings.pop('load_from', None)
    return dict(_flatten('', settings))


def _flatten(prefix: str, value: Any) -> Iterator[Tuple[str, str]]:
    """Yield dotted keys and values of nested dicts and lists."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value):
        items = enumerate(value)
    if not items:
        yield prefix, _as_json(value)
    for key, item in items:
        yield from _flatten(f'{prefix}.{key}' if prefix else str(key), item)


def _as_json(value: Any) -> str:
    """Return a value as one line of JSON; other objects by their text."""
    text = json.dumps(value, default=repr, sort_keys=True, ensure_ascii=False)
    return _ADDRESS.sub('', text)


def circumstances(runner: Runner) -> Dict[str, Any]:
    """Return what else may change the last bits of a result, or more.

    Args:
        runner (Runner): Runner with a built train loop.
    """
    wrapper = runner.cfg.get('optim_wrapper') or {}
    return dict(
        batch_size=getattr(runner.train_dataloader, 'batch_size', None),
        accumulation=wrapper.get('accumulative_counts', 1),
        world_size=get_world_size(),
        threads=torch.get_num_threads(),
        device=get_device(),
        versions=package_versions(),
    )
