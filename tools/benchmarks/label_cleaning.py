"""How well are planted wrong labels found and corrected?

    python tools/benchmarks/label_cleaning.py figures TABLE [TABLE ...]
    python tools/benchmarks/label_cleaning.py control TABLE --out NEW_TABLE
    python tools/benchmarks/label_cleaning.py cleanlab CONFIG --out NEW_DIR \\
        --like CLEANED/record.json

A TABLE is a ``sample_scores.csv`` with decisions and clean labels, as of
``tools/clean_labels.py`` on a config with ``label_noise``.

- ``figures`` compares it with the clean labels, and prints tables: how well
  wrong labels are detected, what became of wrong and of right labels, and
  the same for each class.
- ``control`` writes a table that drops as many samples, but random ones. A
  training on it (``train_dataloader.dataset.decisions=TABLE``) shows what
  having fewer samples alone does.
- ``cleanlab`` judges the labels of a config with cleanlab's
  ``find_label_issues`` (``pip install mmfer[cleanlab]``), on out-of-sample
  predictions: the samples are cut into folds, and each is predicted by a
  model that has learned from the others. Backbone, recipe and the way to
  choose an epoch are those of GAAVE, of the config's GAAVEHook if it has one;
  with ``--like`` so is the number of images that go through the models, as
  near as whole epochs allow. A run that was killed goes on where it was.
"""

import argparse
import json
import os.path as osp
from typing import Dict, List

import numpy as np
from mmengine.config import Config

from mmfer.cli import (
    add_runner_arguments,
    build_runner,
    checkpoint_loading,
    finish_config,
    load_training_config,
)
from mmfer.datasets import LabelView, unaugmented, with_pipeline
from mmfer.engine.provenance import config_hash
from mmfer.engine.scoring import predict_view
from mmfer.engine.stages import fingerprint
from mmfer.engine.training import train_classifier
from mmfer.evaluation.functional import auroc
from mmfer.methods.gaave.splitting import draw_of_each_class
from mmfer.score_table import (
    FILE_NAME,
    ScoreTable,
    apply_decisions,
    read_score_table,
    replace_decisions,
    write_score_table,
)
from mmfer.utils.config import merge_options


# -- pure computation ---------------------------------------------------------
def detection(table: Dict[str, np.ndarray]) -> dict:
    """How well ``candidate`` and ``noise_score`` tell wrong labels.

    Args:
        table (dict): Columns as arrays.
    """
    wrong = table['given_label'] != table['clean_label']
    found = table['candidate'] == 1
    hits = (found & wrong).sum()
    precision = hits / max(found.sum(), 1)
    recall = hits / max(wrong.sum(), 1)
    return dict(
        candidates=int(found.sum()),
        auroc=auroc(table['noise_score'], wrong),
        precision=float(precision),
        recall=float(recall),
        f1=float(2 * precision * recall / max(precision + recall, 1e-12)),
    )


def outcome(table: Dict[str, np.ndarray], mine=None) -> dict:
    """What became of labels, shares in [0, 1].

    Args:
        table (dict): Columns as arrays.
        mine (np.ndarray, optional): Which samples to look at, bool (N, ).

    Returns:
        dict: ``samples``, ``left`` (not dropped), ``wrong_before``,
        ``wrong_after`` (of those left), ``right_kept`` (right labels that
        stayed as they were), ``changed_right`` (changed labels that now are
        right); NaN where there are none.
    """
    if mine is not None:
        table = {k: v[mine] for k, v in table.items()}
    decision, clean = table['decision'], table['clean_label']
    wrong = table['given_label'] != clean
    left, label = apply_decisions(table)

    def share(what, of):
        return float(what[of].mean()) if of.any() else float('nan')

    return dict(
        samples=len(wrong),
        left=int(left.sum()),
        wrong_before=share(wrong, np.ones_like(wrong)),
        wrong_after=share(label != clean, left),
        right_kept=share(decision == 'keep', ~wrong),
        changed_right=share(label == clean, decision == 'relabel'),
    )


def random_drops(decision: np.ndarray, seed: int) -> np.ndarray:
    """Decisions that drop as many samples, but random ones."""
    drawn = np.random.default_rng(seed).permutation(len(decision))
    control = np.full(len(decision), 'keep', dtype='<U7')
    control[drawn[: (decision == 'drop').sum()]] = 'drop'
    return control


def folds(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Number of the fold of each sample; classes are spread evenly."""
    rng = np.random.default_rng(seed)
    result = np.empty(len(labels), dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        # From where the last class ended, so that folds are equally large.
        result[mine] = (start + np.arange(len(mine))) % count
        start += len(mine)
    return result


# -- tables -------------------------------------------------------------------
def read_clean_table(path: str) -> ScoreTable:
    """Read a score table with clean labels.

    Args:
        path (str): The table.

    Raises:
        SystemExit: The table has no clean labels.
    """
    table = read_score_table(path)
    if 'clean_label' not in table:
        raise SystemExit(
            f'{path} has no clean_label: it must be the '
            'sample_scores.csv of a config with label_noise.'
        )
    return table


def with_candidates(table: ScoreTable) -> ScoreTable:
    """Add ``candidate``, int (N,): by default every label that is not kept.

    Args:
        table (dict[str, np.ndarray]): Columns (N,); not changed.
    """
    candidate = (table['decision'] != 'keep').astype(int)
    if 'candidate' in table:
        candidate = np.array(
            [
                int(float(text)) if text else default
                for text, default in zip(table['candidate'], candidate.tolist())
            ]
        )
    return dict(table, candidate=candidate)


def markdown(head: List[str], lines: List[list]) -> str:
    text = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    text += ['| ' + ' | '.join(map(str, line)) + ' |' for line in lines]
    return '\n'.join(text)


def percent(value: float) -> str:
    return '' if np.isnan(value) else f'{100 * value:.1f}'


def figures(args) -> None:
    names = [osp.basename(osp.dirname(osp.abspath(p))) for p in args.tables]
    if len(set(names)) < len(names):
        names = args.tables
    tables = {
        name: with_candidates(read_clean_table(path))
        for name, path in zip(names, args.tables)
    }
    lines, results = [], []
    for name, table in tables.items():
        found, became = detection(table), outcome(table)
        area = '' if found['auroc'] is None else f'{found["auroc"]:.3f}'
        lines.append(
            [
                name,
                found['candidates'],
                area,
                *(f'{found[k]:.3f}' for k in ('precision', 'recall', 'f1')),
            ]
        )
        results.append(
            [
                name,
                became['left'],
                *(
                    percent(became[k])
                    for k in (
                        'wrong_before',
                        'wrong_after',
                        'right_kept',
                        'changed_right',
                    )
                ),
            ]
        )
    print(
        markdown(['', 'candidates', 'AUROC', 'precision', 'recall', 'F1'], lines) + '\n'
    )
    head = [
        '',
        'samples left',
        'wrong before, %',
        'wrong after, %',
        'right ones kept, %',
        'right among changed, %',
    ]
    print(markdown(head, results))
    for name, table in tables.items():
        # Of a class: samples that really are of it.
        print(f'\n{name}, by clean label\n')
        print(
            markdown(
                head,
                [
                    [
                        label,
                        *(
                            v if isinstance(v, int) else percent(v)
                            for v in list(
                                outcome(table, table['clean_label'] == label).values()
                            )[1:]
                        ),
                    ]
                    for label in np.unique(table['clean_label']).tolist()
                ],
            )
        )


def control(args) -> None:
    if osp.exists(args.out):
        raise SystemExit(f'{args.out} is there already; choose another --out.')
    table = read_clean_table(args.table)
    decisions = random_drops(table['decision'], args.seed)
    dropped = decisions == 'drop'
    table = replace_decisions(
        table, decisions, np.where(dropped, -1, table['given_label'])
    )
    write_score_table(args.out, table)
    print(f'{args.out}: {dropped.sum()} of {len(dropped)} samples dropped at random.')


# -- cleanlab -----------------------------------------------------------------
def rescale(cfg: Config, epochs: int) -> None:
    """Train for another number of epochs, schedules with it."""
    factor = epochs / cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = epochs
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in [schedulers] if isinstance(schedulers, dict) else schedulers:
        for key in ('T_max', 'total_steps', 'begin', 'end', 'milestones'):
            value = scheduler.get(key)
            if isinstance(value, list):
                scheduler[key] = [max(1, round(factor * v)) for v in value]
            elif value:
                scheduler[key] = max(1, round(factor * value))


def cleanlab(args) -> None:
    if args.launcher != 'none':
        raise SystemExit('cleanlab runs in one process: leave --launcher out.')
    with checkpoint_loading(None, args.trust_checkpoint):
        judge_with_cleanlab(args)


def judge_with_cleanlab(args) -> None:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from mmengine.registry import init_default_scope

    from mmfer.registry import DATASETS

    args.work_dir = args.out
    cfg = finish_config(load_training_config(args.config, args), args)
    recipe = next(
        (
            hook.get('base')
            for hook in cfg.get('custom_hooks', [])
            if hook['type'] in ('GAAVEHook', 'mmfer.GAAVEHook')
        ),
        None,
    )
    cfg.custom_hooks = []
    cfg = Config(merge_options(cfg.to_dict(), recipe))
    if osp.isfile(osp.join(args.out, 'run.json')):
        raise SystemExit(
            f'{args.out} holds results of tools/clean_labels.py; choose another --out.'
        )
    init_default_scope('mmfer')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    pipeline = DATASETS.build(cfg.val_dataloader.dataset).pipeline
    still = unaugmented(dataset, pipeline)
    augmented = dataset
    if 'train_dataloader' in (recipe or {}):
        augmented = with_pipeline(dataset, cfg.train_dataloader.dataset.pipeline)
    ids, labels = dataset.sample_ids, dataset.get_gt_labels()
    epochs = args.epochs
    if args.like:
        with open(args.like) as file:
            subsets = json.load(file)['subsets']
        budget = sum(subset['image_passes'] for subset in subsets)
        epochs = max(1, round(budget / (len(ids) * (args.folds - 1))))
    rescale(cfg, epochs)
    # For its log file and its seeds; nothing is trained by it.
    logger = build_runner(cfg).logger
    logger.info(
        f'{args.folds} folds, {epochs} epochs each: '
        f'{epochs * (args.folds - 1) * len(ids)} image passes'
    )
    seed = cfg.get('randomness', {}).get('seed') or 0
    # What another run left is not taken for this one's.
    key = fingerprint(dict(config=config_hash(cfg), labels=labels, folds=args.folds))[
        :8
    ]
    fold = folds(labels, args.folds, seed)
    scores = np.zeros((len(ids), dataset.num_classes))
    for i in range(args.folds):
        mine = np.flatnonzero(fold != i)
        held = np.zeros(len(mine), dtype=bool)
        held[draw_of_each_class(labels[mine], 0.1, seed)] = True

        def view(base, rows):
            return LabelView(base, ids[rows], labels[rows], dataset.num_classes)

        trained = train_classifier(
            cfg,
            view(augmented, mine[~held]),
            dataset.num_classes,
            osp.join(args.out, f'fold{i}-{key}'),
            seed,
            f'Fold {i + 1}',
            logger,
            view(still, mine[held]),
            patience=epochs,
        )
        asked = np.flatnonzero(fold == i)
        asked = asked[ids[asked].argsort()]
        _, scores[asked] = predict_view(
            trained.model, view(still, asked), cfg.val_dataloader
        )
    issue = find_label_issues(labels, scores)
    quality = get_label_quality_scores(labels, scores)
    table = dict(
        sample_id=ids,
        image=np.array(
            [
                dataset.image_name(dataset.get_data_info(i)['img_path'])
                for i in range(len(ids))
            ],
            dtype=object,
        ),
        given_label=labels,
        candidate=issue,
        noise_score=1 - quality,
        suggested_label=np.where(issue, -1, labels),
        decision=np.where(issue, 'drop', 'keep'),
    )
    if dataset.clean_labels is not None:
        table['clean_label'] = dataset.clean_labels[ids]
    path = osp.join(args.out, FILE_NAME)
    write_score_table(path, table, dataset.CLASSES)
    logger.info(f'{issue.sum()} issues, see {path}')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser('figures')
    command.add_argument('tables', nargs='+')
    command.set_defaults(run=figures)
    command = commands.add_parser('control')
    command.add_argument('table')
    command.add_argument('--out', required=True)
    command.add_argument('--seed', type=int, default=0)
    command.set_defaults(run=control)
    command = commands.add_parser('cleanlab')
    command.add_argument('config')
    command.add_argument('--out', required=True)
    command.add_argument('--folds', type=int, default=3)
    command.add_argument('--epochs', type=int, default=10)
    command.add_argument(
        '--like',
        help='record.json to take the number of image passes from, instead of --epochs',
    )
    add_runner_arguments(command)
    command.set_defaults(run=cleanlab)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    args.run(args)


if __name__ == '__main__':
    main()
