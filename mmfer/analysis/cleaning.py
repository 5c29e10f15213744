"""Prepare a cleaning with GAAVE, and write its results as files."""

import json
import logging
import os
import os.path as osp
import tempfile
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from mmfer.datasets import FERDataset
from mmfer.datasets.images import hash_files
from mmfer.engine.preflight import PreflightError, check_one_class
from mmfer.engine.provenance import config_hash, package_versions
from mmfer.engine.stages import fingerprint
from mmfer.engine.work_dir import LOCK
from mmfer.methods.gaave import LabelDecisions
from mmfer.methods.gaave.report import REPORT_FILES, write_report
from mmfer.registry import DATASETS
from mmfer.score_table import (
    FILE_NAME,
    ScoreTable,
    labels_after_decisions,
    read_columns,
    read_decision_column,
    write_score_table,
)
from mmfer.utils.files import write_atomic
from mmfer.utils.json_files import read_json

RUN_FILE = 'run.json'
"""File with the settings of a cleaning."""

STAGES_FOLDER = 'cleaning'
"""Folder with the stages of a cleaning, inside the folder of its results."""

CLEANED_LIST = 'cleaned_list'
"""Name of the list of a cleaning, without its suffix."""

RESULT_FILES = (FILE_NAME, RUN_FILE, *REPORT_FILES)
"""Files with the results of a cleaning, besides the list."""

GAAVE_HOOKS = ('GAAVEHook', 'mmfer.GAAVEHook')
"""Names under which a config can have the hook of GAAVE."""

COLUMN_TYPES = dict(
    sample_id=np.int64,
    given_label=np.int64,
    subset=np.int64,
    attack_steps=float,
    given_probability=float,
    candidate=bool,
    suggested_label=np.int64,
    decision=str,
    noise_score=float,
)
"""Types of the columns of :class:`LabelDecisions`."""


# -- before the cleaning --------------------------------------------------------
def take_gaave_options(cfg: Config) -> Dict[str, Any]:
    """Remove the GAAVEHook from a config and return its options.

    Args:
        cfg (Config): A training config; changed in place.

    Returns:
        dict: Options of the hook; empty if there is none.
    """
    options: Dict[str, Any] = {}
    hooks = []
    for hook in cfg.get('custom_hooks') or []:
        if hook['type'] in GAAVE_HOOKS:
            options = {k: v for k, v in hook.items() if k not in ('type', 'priority')}
        else:
            hooks.append(hook)
    cfg.custom_hooks = hooks
    return options


def build_training_set(cfg: Config) -> FERDataset:
    """Build the training set of a config.

    Args:
        cfg (Config): A training config.

    Raises:
        PreflightError: The training set is not an mmfer data set.
    """
    init_default_scope('mmfer')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not isinstance(dataset, FERDataset):
        raise PreflightError(
            f'train_dataloader has a {type(dataset).__name__}, but only mmfer '
            'data sets can be cleaned. For your own images, use ImageList '
            'or ImageFolders.'
        )
    return dataset


def cleaning_settings(
    config: str, cfg: Config, options: Dict[str, Any], dataset: FERDataset
) -> Dict[str, Any]:
    """Return the settings of a cleaning, for its :data:`RUN_FILE`.

    Args:
        config (str): Path of the config.
        cfg (Config): The config, without its GAAVEHook.
        options (dict): Options of GAAVE.
        dataset (FERDataset): Training set.
    """
    deciding = dict(
        config=config_hash(cfg), options=options, labels=dataset.get_gt_labels()
    )
    if options.get('scores'):
        deciding['scores'] = hash_files([options['scores']])[0]
    return dict(
        config=osp.splitext(osp.basename(config))[0],
        options=options,
        decided_by=fingerprint(deciding),
        images=dataset.images_hash(),
        versions=package_versions(),
    )


def claim_folder(out: str, settings: Dict[str, Any]) -> None:
    """Write the settings of a cleaning into its folder, if the folder is free.

    If the folder has results of other images under the same names, these results are
    moved to the folder ``earlier-1``, ``earlier-2`` and so on.

    Args:
        out (str): Folder for the results.
        settings (dict): See :func:`cleaning_settings`.

    Raises:
        PreflightError: The folder has other files, or results of another cleaning.
    """
    path = osp.join(out, RUN_FILE)
    if osp.isfile(path):
        try:
            found = read_json(path, dict, 'file of settings')
            earlier = found['decided_by'], found['config']
        except (ValueError, KeyError) as error:
            raise PreflightError(
                f'{path} is not as this tool wrote it ({error}): choose another --out.'
            ) from None
        # A run that failed before its first stage has left only logs.
        begun = any(
            osp.exists(osp.join(out, name)) for name in (STAGES_FOLDER, FILE_NAME)
        )
        if begun and earlier[0] != settings['decided_by']:
            raise PreflightError(
                f'{out} has results of {earlier[1]} with other '
                'settings or labels: choose another --out.'
            )
        if found.get('images', settings['images']) != settings['images']:
            move_results(out)
    elif osp.isdir(out) and {*os.listdir(out)} - {LOCK}:
        raise PreflightError(
            f'{out} is not empty and has no {RUN_FILE} of this tool: choose '
            'another --out.'
        )
    write_run_file(out, settings)


def move_results(out: str) -> None:
    """Move the results of other images away, and log where they are.

    The stages stay, because each of them is found by its own images.

    Args:
        out (str): Folder of the results, with a :data:`RUN_FILE`.
    """
    number = 1
    while osp.exists(osp.join(out, f'earlier-{number}')):
        number += 1
    folder = osp.join(out, f'earlier-{number}')
    os.makedirs(folder)
    for name in sorted(os.listdir(out)):
        if name in RESULT_FILES or name.startswith(CLEANED_LIST):
            os.rename(osp.join(out, name), osp.join(folder, name))
    print_log(
        f'{out} has results of other images under the same names. They are now in '
        f'{folder}, and the images are cleaned again.',
        'current',
        level=logging.WARNING,
    )


def write_run_file(out: str, settings: Dict[str, Any]) -> None:
    """Write the settings of a cleaning.

    Args:
        out (str): Folder for the results.
        settings (dict): See :func:`cleaning_settings`.
    """
    write_atomic(osp.join(out, RUN_FILE), json.dumps(settings, indent=1).encode())


def check_list(dataset: FERDataset) -> None:
    """Check before the cleaning, not hours later, that a list can be written.

    Args:
        dataset (FERDataset): Training set. Without a list format, there is nothing
            to check.

    Raises:
        ValueError: The list format cannot hold the name of an image.
    """
    if dataset.list_suffix is not None:
        with tempfile.TemporaryDirectory() as folder:
            ids = np.sort(dataset.sample_ids)
            dataset.write_list(
                osp.join(folder, f'list{dataset.list_suffix}'),
                ids.tolist(),
                dataset.all_labels.numpy()[ids].tolist(),
            )


# -- after the cleaning ---------------------------------------------------------
def warn_of_lost_classes(
    label_decisions: LabelDecisions, dataset: FERDataset, logger: logging.Logger
) -> None:
    """Warn if the cleaned set lacks classes that the data set has.

    Args:
        label_decisions (LabelDecisions): Decisions on all samples.
        dataset (FERDataset): Training set before the cleaning.
        logger (logging.Logger): Logger of the run.
    """
    kept, labels = labels_after_decisions(label_decisions._asdict())
    left = labels[kept]
    dataset._warn_of_empty_classes(left, dataset.get_gt_labels(), 'the cleaning')
    problem = check_one_class(
        'The cleaned set',
        np.bincount(left, minlength=dataset.num_classes).tolist(),
        dataset.CLASSES,
    )
    if problem:
        logger.warning(problem)


def cleaning_table(
    label_decisions: LabelDecisions,
    images: Sequence[str],
    clean_labels: Optional[np.ndarray] = None,
) -> ScoreTable:
    """Make the score table of a cleaning.

    Args:
        label_decisions (LabelDecisions): Decisions on N samples.
        images (Sequence[str]): Names of their images, (N,).
        clean_labels (np.ndarray, optional): Clean labels by ``sample_id``,
            if they are known.

    Returns:
        dict[str, np.ndarray]: Columns (N,), in the order of the file.
    """
    columns = label_decisions._asdict()
    ids = columns['sample_id']
    table: ScoreTable = dict(sample_id=ids, image=np.array(images, dtype=object))
    for name in (
        'given_label',
        'subset',
        'attack_steps',
        'given_probability',
        'candidate',
        'noise_score',
        'suggested_label',
        'decision',
    ):
        table[name] = columns[name]
    if clean_labels is not None:
        table['clean_label'] = clean_labels[ids]
    return table


def read_label_decisions(path: str) -> LabelDecisions:
    """Read the columns of GAAVE from a score table.

    Args:
        path (str): Table from ``mmfer clean``, or from a run with a
            GAAVEHook.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The table lacks a column, or has no rows.
    """
    table = read_columns(
        path, LabelDecisions._fields, kind='table of GAAVE, see `mmfer clean`'
    )
    # GAAVEHook writes booleans as numbers, with or without a decimal point.
    return LabelDecisions(
        **{
            name: read_decision_column(table)
            if kind is str
            else np.array(table.numbers(name)).astype(kind)
            for name, kind in COLUMN_TYPES.items()
        }
    )


def write_results(
    out: str, label_decisions: LabelDecisions, record: dict, dataset: FERDataset
) -> Optional[dict]:
    """Write the score table, the report and the cleaned list.

    Args:
        out (str): Folder for the results.
        label_decisions (LabelDecisions): Decisions on all samples.
        record (dict): Subsets, histograms, thresholds and base models.
        dataset (FERDataset): Training set before the cleaning.

    Returns:
        dict, optional: Settings with which the data set reads the list; None if
        the data set has no list format.
    """
    names = dataset.image_names(label_decisions.sample_id)
    table = cleaning_table(label_decisions, names, dataset.clean_labels)
    write_score_table(osp.join(out, FILE_NAME), table, dataset.CLASSES)
    write_report(out, label_decisions, record, dataset.CLASSES)
    if dataset.list_suffix is None:
        return None
    kept, labels = labels_after_decisions(table)
    return dataset.write_list(
        osp.join(out, f'{CLEANED_LIST}{dataset.list_suffix}'),
        table['sample_id'][kept].tolist(),
        labels[kept].tolist(),
    )


def how_to_train(out: str, settings: Optional[dict]) -> str:
    """Return instructions to train on the results, with options of ``mmfer train``.

    Each option is on a line of its own. A path with a comma or white space
    cannot be an option and has to be written into a config.

    Args:
        out (str): Folder of the results.
        settings (dict, optional): See :func:`write_results`.
    """
    place = 'train_dataloader.dataset'
    table = osp.abspath(osp.join(out, FILE_NAME))
    lines: List[str] = [
        'Train on the cleaned set with',
        f'--cfg-options {place}.decisions={table}',
    ]
    if settings and 'type' not in settings:
        options = ' '.join(f'{place}.{k}={v}' for k, v in settings.items())
        lines += ['or on the list with', f'--cfg-options {options}']
    elif settings:
        lines += [
            'or on the list, which another type of data set reads. In '
            f'a config, update {place} with',
            str(settings),
        ]
    if any(c.isspace() or c == ',' for c in table):
        lines.append(
            'The paths contain white space or a comma, which '
            '--cfg-options cannot read. Write them into a config.'
        )
    return '\n'.join(lines)
