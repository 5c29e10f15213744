"""Clean the labels of a training set with GAAVE, once for good.

    python tools/clean_labels.py CONFIG --out DIR

CONFIG is any training config; its backbone, schedule and seed are those of
GAAVE's models, and the options of its GAAVEHook, if it has one, are those of
GAAVE. Nothing of the data set is changed. DIR gets

- ``sample_scores.csv``: every sample, what was measured, and what becomes of
  it. Training on it:
  ``--cfg-options train_dataloader.dataset.decisions=DIR/sample_scores.csv``
- ``cleaned_list.txt``: the images that are left and their labels, for
  ImageList with the data set's root and classes
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
from typing import List

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process

from mmfer.cli import (add_runner_arguments, build_runner, finish_config,
                       load_config, process_group)
from mmfer.compat import write_atomic
from mmfer.datasets import FERDataset
from mmfer.datasets.lists import write_label_list
from mmfer.engine.hooks.sample_scores import format_table
from mmfer.engine.hooks.summary import config_hash, package_versions
from mmfer.engine.stages import fingerprint
from mmfer.methods.gaave import GAAVE, Judgement
from mmfer.methods.gaave.report import write_report
from mmfer.registry import DATASETS

RUN = 'run.json'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='path of a training config')
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--stages',
        help='folder of the stages, OUT/cleaning by default; shared by runs '
        'with other options, it saves them what they have in common')
    add_runner_arguments(parser)
    return parser.parse_args()


def gaave_options(cfg: Config) -> dict:
    """Options of the config's GAAVEHook, which is taken out of it."""
    options = {}
    hooks = []
    for hook in cfg.get('custom_hooks') or []:
        if hook['type'] in ('GAAVEHook', 'mmfer.GAAVEHook'):
            options = {
                k: v for k, v in hook.items() if k not in ('type', 'priority')
            }
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
        if found['decided_by'] != settings['decided_by']:
            raise SystemExit(
                f'{out} holds results of {found["config"]} with other '
                f'settings or labels: {advice}.')
    elif osp.isdir(out) and os.listdir(out):
        raise SystemExit(f'{out} is not empty and holds no {RUN} of this '
                         f'tool: {advice}.')
    write_atomic(path, json.dumps(settings, indent=1).encode())


def score_table(judgement: Judgement, names: List[str],
                dataset: FERDataset) -> bytes:
    """``sample_scores.csv``; clean labels in the last column, if known."""
    columns = judgement._asdict()
    clean = dataset.clean_labels
    rows = []
    for i, sample_id in enumerate(judgement.sample_id.tolist()):
        row = dict(sample_id=sample_id, image=names[i])
        for name in ('given_label', 'subset', 'attack_steps', 'candidate'):
            row[name] = f'{columns[name][i]:.6g}'
        row['noise_score'] = f'{judgement.noise_score[i]:.6g}'
        row['suggested_label'] = int(judgement.suggested_label[i])
        row['decision'] = str(judgement.decision[i])
        row['clean_label'] = '' if clean is None else int(clean[sample_id])
        rows.append(row)
    return format_table(rows)


def write_results(out: str, judgement: Judgement, record: dict,
                  dataset: FERDataset) -> None:
    """Everything but :data:`RUN`."""
    paths = {
        info['sample_id']: info['img_path']
        for info in (dataset.get_data_info(i) for i in range(len(dataset)))
    }
    names = [dataset.image_name(paths[i])
             for i in judgement.sample_id.tolist()]
    write_atomic(
        osp.join(out, 'sample_scores.csv'),
        score_table(judgement, names, dataset))
    left = np.flatnonzero(judgement.decision != 'drop')
    labels = judgement.suggested_label[left]
    write_label_list(
        osp.join(out, 'cleaned_list.txt'), [names[i] for i in left], labels,
        by_path=True)
    write_report(out, judgement, record, dataset.CLASSES)


def main() -> None:
    args = parse_args()
    args.work_dir = args.out
    cfg = finish_config(load_config(args.config, args), args)
    options = gaave_options(cfg)
    method = GAAVE(**options)
    with process_group(cfg):
        dataset = build_dataset(cfg)
        settings = dict(
            config=osp.splitext(osp.basename(args.config))[0],
            options=options,
            decided_by=fingerprint(
                dict(
                    config=config_hash(cfg), options=options,
                    labels=dataset.get_gt_labels())),
            versions=package_versions())
        # The process group may not be there yet.
        if int(os.environ.get('RANK', 0)) == 0:
            claim(args.out, settings)
        # For its log file, its processes and its seeds; nothing is trained.
        runner = build_runner(cfg)
        pipeline = DATASETS.build(cfg.val_dataloader.dataset).pipeline
        judgement, record = method(
            cfg, dataset, pipeline, args.stages
            or osp.join(args.out, 'cleaning'), runner.logger)
        if is_main_process():
            write_results(args.out, judgement, record, dataset)
            runner.logger.info(f'The results are in {args.out}: '
                               'sample_scores.csv, cleaned_list.txt, '
                               'attack_steps.png, report.txt')


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
            'or ImageFolders.')
    return dataset


if __name__ == '__main__':
    main()
