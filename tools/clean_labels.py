"""Clean the labels of a training set with GAAVE, once for good.

    python tools/clean_labels.py CONFIG --out DIR

CONFIG is any training config; its backbone, schedule and seed are those of
GAAVE's models, and the options of its GAAVEHook, if it has one, are those of
GAAVE. Nothing of the data set is changed. DIR gets

- ``sample_scores.csv``: every sample, what was measured, and what becomes of
  it. Training on it:
  ``--cfg-options train_dataloader.dataset.decisions=DIR/sample_scores.csv``
- ``cleaned_list.txt`` or ``.csv``: the images that are left and their labels
  in the data set's own format, ready to train on; ``run.json`` and the last
  line of the log say with which settings of the data set
- ``report.txt``: what was done, in words
- ``attack_steps.png``: what the thresholds divide
- ``record.json``: subsets, histograms, thresholds and base models
- ``run.json``: config, options and versions

A run that was killed goes on where it was when it is started again.
"""

import argparse
import json
import os
import os.path as osp
import tempfile
from typing import List, Optional

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process

from mmfer.cli import (
    add_runner_arguments,
    build_runner,
    checkpoint_loading,
    finish_config,
    load_training_config,
    preflight_of,
    process_group,
    run_tool,
)
from mmfer.datasets import FERDataset, pipeline_of
from mmfer.engine.hooks.sample_scores import format_table
from mmfer.engine.preflight import PreflightError, check_cleaning, check_one_class
from mmfer.engine.provenance import config_hash, package_versions
from mmfer.engine.stages import fingerprint
from mmfer.methods.gaave import GAAVE, LabelDecisions
from mmfer.methods.gaave.report import write_report
from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic

RUN, STAGES = 'run.json', 'cleaning'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of a training config')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--stages',
        help='folder of the stages, OUT/cleaning by default; shared by runs '
        'with other options, it saves them what they have in common',
    )
    add_runner_arguments(parser)
    return parser.parse_args()


def gaave_options(cfg: Config) -> dict:
    """Options of the config's GAAVEHook, which is taken out of it."""
    options = {}
    hooks = []
    for hook in cfg.get('custom_hooks') or []:
        if hook['type'] in ('GAAVEHook', 'mmfer.GAAVEHook'):
            options = {k: v for k, v in hook.items() if k not in ('type', 'priority')}
        else:
            hooks.append(hook)
    cfg.custom_hooks = hooks
    return options


def claim(out: str, settings: dict) -> None:
    """Take a folder that is empty, or holds what these settings began.

    Raises:
        SystemExit: It holds something else.
    """
    path = osp.join(out, RUN)
    advice = 'choose another --out'
    if osp.isfile(path):
        with open(path) as file:
            found = json.load(file)
        # One that was refused before its first stage has left logs alone.
        begun = any(
            osp.exists(osp.join(out, name)) for name in (STAGES, 'sample_scores.csv')
        )
        if begun and found['decided_by'] != settings['decided_by']:
            raise SystemExit(
                f'{out} holds results of {found["config"]} with other '
                f'settings or labels: {advice}.'
            )
    elif osp.isdir(out) and os.listdir(out):
        raise SystemExit(
            f'{out} is not empty and holds no {RUN} of this tool: {advice}.'
        )
    write_atomic(path, json.dumps(settings, indent=1).encode())


def score_table(
    label_decisions: LabelDecisions, names: List[str], dataset: FERDataset
) -> bytes:
    """``sample_scores.csv``; clean labels in the last column, if known."""
    columns = label_decisions._asdict()
    clean = dataset.clean_labels
    rows = []
    for i, sample_id in enumerate(label_decisions.sample_id.tolist()):
        row = dict(sample_id=sample_id, image=names[i])
        for name in (
            'given_label',
            'subset',
            'attack_steps',
            'given_probability',
            'candidate',
            'noise_score',
        ):
            row[name] = f'{columns[name][i]:.6g}'
        row['suggested_label'] = int(label_decisions.suggested_label[i])
        row['decision'] = str(label_decisions.decision[i])
        row['clean_label'] = '' if clean is None else int(clean[sample_id])
        rows.append(row)
    return format_table(rows)


def write_results(
    out: str, label_decisions: LabelDecisions, record: dict, dataset: FERDataset
) -> Optional[dict]:
    """Everything but :data:`RUN`.

    Returns:
        dict, optional: Settings of the data set with which it reads the list;
        None if there is no list of such images.
    """
    paths = {
        info['sample_id']: info['img_path']
        for info in (dataset.get_data_info(i) for i in range(len(dataset)))
    }
    names = [dataset.image_name(paths[i]) for i in label_decisions.sample_id.tolist()]
    write_atomic(
        osp.join(out, 'sample_scores.csv'), score_table(label_decisions, names, dataset)
    )
    write_report(out, label_decisions, record, dataset.CLASSES)
    if dataset.list_suffix is None:
        return None
    left = label_decisions.decision != 'drop'
    return dataset.write_list(
        osp.join(out, f'cleaned_list{dataset.list_suffix}'),
        label_decisions.sample_id[left],
        label_decisions.suggested_label[left],
    )


def how_to_train(out: str, settings: Optional[dict]) -> str:
    """Options for ``tools/train.py``, each on a line of its own.

    A path that they cannot hold, one with a comma or white space, has to go
    into a config.
    """
    place = 'train_dataloader.dataset'
    table = osp.abspath(osp.join(out, 'sample_scores.csv'))
    lines = ['Train on the result with', f'--cfg-options {place}.decisions={table}']
    if settings and 'type' not in settings:
        options = ' '.join(f'{place}.{k}={v}' for k, v in settings.items())
        lines += ['or on the list with', f'--cfg-options {options}']
    elif settings:
        lines += [
            'or on the list, which is for another type of data set: in '
            f'a config, change {place} by',
            str(settings),
        ]
    if any(c.isspace() or c == ',' for c in table):
        lines.append(
            'The paths have white space or a comma, which '
            '--cfg-options cannot read: write them into a config.'
        )
    return '\n'.join(lines)


def check_list(dataset: FERDataset) -> None:
    """Have what a list cannot hold found now, not after hours."""
    if dataset.list_suffix is not None:
        with tempfile.TemporaryDirectory() as folder:
            ids = np.sort(dataset.sample_ids)
            dataset.write_list(
                osp.join(folder, f'list{dataset.list_suffix}'),
                ids,
                dataset.all_labels.numpy()[ids],
            )


def main() -> None:
    args = parse_args()
    args.work_dir = args.out
    cfg = finish_config(load_training_config(args.config, args), args)
    options = gaave_options(cfg)
    method = GAAVE(**options)
    with process_group(cfg), checkpoint_loading(None, args.trust_checkpoint):
        dataset = build_dataset(cfg)
        settings = dict(
            config=osp.splitext(osp.basename(args.config))[0],
            options=options,
            decided_by=fingerprint(
                dict(
                    config=config_hash(cfg),
                    options=options,
                    labels=dataset.get_gt_labels(),
                )
            ),
            versions=package_versions(),
        )
        # The process group may not be there yet.
        if int(os.environ.get('RANK', 0)) == 0:
            claim(args.out, settings)
            check_list(dataset)
        # For its log file, its processes and its seeds; nothing is trained.
        runner = build_runner(cfg)
        # Not read a second time.
        runner._train_dataloader = dict(runner._train_dataloader, dataset=dataset)
        preflight = preflight_of(runner)
        check_cleaning(runner, dataset, method.base, preflight.strict)
        preflight.check_training(runner)
        pipeline = pipeline_of(runner.val_dataloader.dataset)
        label_decisions, record = method(
            cfg,
            dataset,
            pipeline,
            args.stages or osp.join(args.out, STAGES),
            runner.logger,
        )
        left = label_decisions.decision != 'drop'
        labels = label_decisions.suggested_label[left]
        dataset._warn_of_empty_classes(labels, dataset.get_gt_labels(), 'the cleaning')
        problem = check_one_class(
            'The cleaned set',
            np.bincount(labels, minlength=dataset.num_classes),
            dataset.CLASSES,
        )
        if problem:
            runner.logger.warning(problem)
        if is_main_process():
            found = write_results(args.out, label_decisions, record, dataset)
            settings['list_settings'] = found
            write_atomic(
                osp.join(args.out, RUN), json.dumps(settings, indent=1).encode()
            )
            runner.logger.info(
                f'The results are in {args.out}, in words in report.txt.\n'
                + how_to_train(args.out, found)
            )


def build_dataset(cfg: Config) -> FERDataset:
    """The training set, of mmfer.

    Raises:
        SystemExit: It is another one.
    """
    from mmengine.registry import init_default_scope

    init_default_scope('mmfer')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not isinstance(dataset, FERDataset):
        raise SystemExit(
            f'train_dataloader has a {type(dataset).__name__}; only mmfer '
            'data sets can be cleaned. For images of your own, use ImageList '
            'or ImageFolders.'
        )
    return dataset


if __name__ == '__main__':
    run_tool(main, PreflightError)
