"""Find wrong labels without training: ``mmfer scan SOURCE --out DIR``."""

import argparse
import io
import logging
import os.path as osp
import sys
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Sequence

import numpy as np
from mmengine.logging import MMLogger

from mmfer.analysis.cleaning import build_training_set
from mmfer.analysis.review import ReviewSettings, write_page, write_settings
from mmfer.datasets import ImageFolders, ImageList
from mmfer.datasets.images import IMAGE_EXTENSIONS
from mmfer.scan import ScoreOptions, find_encoder
from mmfer.scan.cleaned import (
    check_target,
    cleaned_paths,
    copy_images,
    count_decisions,
    decided_table,
    open_conflicts,
    write_cleaned_list,
    write_given_list,
)
from mmfer.scan.encoders import HOGEncoder
from mmfer.scan.faces import FaceCheck, has_detector, unlike_others, without_face
from mmfer.scan.findings import Findings
from mmfer.scan.frozen_pass import run_frozen_pass
from mmfer.scan.groups import find_groups
from mmfer.scan.report import console_lines, describe_source, report_text, warnings_of
from mmfer.scan.sources import ListedImages, Source, find_source
from mmfer.scan.workspace import (
    PAGE,
    REPORT,
    RUN_FILE,
    claim_folder,
    file_hash,
    set_edited_aside,
    source_key,
    write_run_file,
)
from mmfer.score_table import FILE_NAME, ScoreTable, write_score_table
from mmfer.utils.console import quieten
from mmfer.utils.devices import choose_device
from mmfer.utils.files import write_atomic
from mmfer.utils.progress import Progress
from mmfer.version import __version__
from mmfer_command.shipped import find_config

from .common import load_config, run_tool

# Config that is named to train on a cleaned list; it suits a CPU.
BASE_CONFIG = 'alum_r18_synthfaces'


def run(args: argparse.Namespace) -> None:
    """Scan labels, and show user errors without a traceback."""
    # A terminal that lacks a letter of a name must not end a scan.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='backslashreplace')
    quieten(MMLogger.get_current_instance())
    try:
        run_tool(lambda: scan(args))
    except KeyboardInterrupt:
        raise SystemExit(
            '\nStopped. The same command continues from the images that are done.'
        ) from None


def scan(args: argparse.Namespace) -> None:
    """Scan the labels of a data set, and write what was found.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.scan`.

    Raises:
        OSError, ValueError: The source or a folder cannot be used.
    """
    start = time.monotonic()
    with quiet_datasets():
        source = open_source(args)
    if args.decisions is not None and not (args.apply or args.copy):
        raise ValueError('--decisions needs --apply or --copy, which use them.')
    if args.link and not args.copy:
        raise ValueError('--link needs --copy, and says how it copies.')
    dataset = source.dataset
    check_names(dataset.image_names())
    claim_folder(args.out, args.source)
    if args.copy is not None:
        check_target(args.copy, args.source)
    print(f'{args.source}: {describe_source(source, dataset.get_gt_labels())}')
    for note in source.notes:
        print(note)
    if args.decisions is not None:
        with quiet_datasets():
            table = decided_table(
                dataset, args.decisions, osp.join(args.out, FILE_NAME)
            )
        print(apply_decisions(args, source, table))
        return
    findings = find(args, source)
    table = findings.table()
    write_results(args, findings, table, time.monotonic() - start)


def open_source(args: argparse.Namespace) -> Source:
    """Return the data set of a folder, a list or a config.

    Args:
        args (argparse.Namespace): With ``source``, ``data_root`` and ``classes``.
    """
    path = args.source
    if not osp.isdir(path) and (not osp.isfile(path) or path.endswith('.py')):
        config = find_config(path)
        if config is not None:
            settings = argparse.Namespace(
                launcher='none', local_rank=0, work_dir=args.out
            )
            cfg = load_config(config, settings)
            dataset = build_training_set(cfg)
            given = cfg.train_dataloader.dataset.to_dict()
            # The page reads the images without a pipeline.
            given.pop('pipeline', None)
            source = Source(dataset, path, 'config', settings=given)
            dataset.full_init()
            return source
    if osp.isfile(path) and path.lower().endswith(IMAGE_EXTENSIONS):
        raise ValueError(
            f'{path}: this is an image. Name a folder that has one folder of images '
            'for each class, or a list.'
        )
    source = find_source(path, args.data_root, args.classes)
    source.dataset.full_init()
    return source


def check_names(names: Sequence[str]) -> None:
    """Raise ``ValueError`` for names of images that tables and lists cannot hold."""
    for name in names:
        if name != name.strip() or '\n' in name or '\r' in name:
            raise ValueError(
                f'The image {name!r} has a line break or white space at an end in its '
                'name, which tables cannot hold. Rename it.'
            )


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Switch off what data sets log, because a scan says it in its own words."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


# -- the scan ----------------------------------------------------------------
def find(args: argparse.Namespace, source: Source) -> Findings:
    """Extract features, and find wrong labels, duplicates and images without a face.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.scan`.
        source (Source): The images.
    """
    dataset = source.dataset
    labels = dataset.get_gt_labels()
    device = choose_device(args.device)
    encoder = find_encoder(args.encoder, device, args.checkpoint)
    notes = [note for note in [getattr(encoder, 'note', '')] if note]
    others: List[Any] = []
    if has_detector():
        others.append(FaceCheck())
    else:
        notes.append(
            'dlib is not installed, so no face detector looks at the images: '
            'pip install "mmfer[face]".'
        )
        if 'hog' not in encoder.outputs:
            others.append(HOGEncoder())
    for note in notes:
        print(note)
    # The results of a cut-off pass are kept, so a second start continues.
    name = osp.basename(osp.abspath(args.source))
    frozen = run_frozen_pass(dataset, encoder, name, others)
    found, duplicates = frozen.found, frozen.duplicates
    groups = find_groups(source, args.groups, duplicates.group)
    scores = frozen.score(
        labels,
        dataset.num_classes,
        groups.index,
        ScoreOptions(keep_share=args.keep_share, careful=args.careful, head=args.head),
    )
    face_scores = None
    if has_detector():
        face_scores = np.array(found.arrays['face_score'])
        faceless = without_face(face_scores, found.valid)
    else:
        faceless = unlike_others(found.arrays['hog'], found.valid)
    return Findings(
        source,
        dataset.image_names(),
        labels,
        dict(found.errors),
        scores,
        duplicates,
        groups,
        faceless,
        face_scores,
        encoder.name,
        args.relabel,
        notes,
    )


# -- results -----------------------------------------------------------------
def write_results(
    args: argparse.Namespace, findings: Findings, table: ScoreTable, seconds: float
) -> None:
    """Write the files, and print what was found and where it is.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.scan`.
        findings (Findings): Results of the scan.
        table (dict[str, np.ndarray]): Their score table.
        seconds (float): Time that the scan took.

    Raises:
        ValueError: The decisions should be applied, and the scan made none.
    """
    files = {n: osp.join(args.out, n) for n in (FILE_NAME, REPORT, PAGE, RUN_FILE)}
    aside = set_edited_aside(args.out)
    write_score_table(files[FILE_NAME], table, findings.classes)
    title = osp.splitext(osp.basename(osp.abspath(args.source)))[0]
    write_review(args, findings, title)
    # What is applied later would make the report untrue, so it is not in it.
    report = report_text(findings, next_steps(args, findings.decides))
    write_atomic(files[REPORT], report.encode('utf-8', 'backslashreplace'))
    write_run_file(args.out, run_record(args, findings, table, seconds))
    for line in console_lines(findings):
        print(line)
    print(
        f'Look at   {files[PAGE]}   in a browser (it has the faces: keep it private)\n'
        f'Report    {files[REPORT]}\n'
        f'Table     {files[FILE_NAME]}'
    )
    if aside:
        print(aside)
    if not (args.apply or args.copy):
        return
    if not findings.decides:
        raise ValueError(
            'Nothing was cleaned, because no label was flagged (see the warnings). '
            'Decide on the page, and apply its table with --decisions.'
        )
    print(apply_decisions(args, findings.source, table))


def write_review(args: argparse.Namespace, findings: Findings, title: str) -> None:
    """Write the page, and what `mmfer review` needs to write it again.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.scan`.
        findings (Findings): Results of the scan.
        title (str): Title of the page.
    """
    source = findings.source
    subtitle = describe_source(source, findings.labels)
    warnings = warnings_of(findings)
    kind = 'probability' if findings.scores.symmetric else 'rank'
    settings = source.settings or write_given_list(args.out, source.dataset)
    review = ReviewSettings(settings, title, subtitle, warnings, kind)
    write_settings(args.out, review)
    write_page(
        osp.join(args.out, PAGE),
        source.dataset,
        osp.join(args.out, FILE_NAME),
        title,
        args.max_images,
        subtitle,
        warnings,
        kind,
        Progress('Page'),
    )


def next_steps(args: argparse.Namespace, decides: bool) -> str:
    """Return what to do next, with commands, for the report.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.scan`.
        decides (bool): Whether labels are flagged, not only sorted.
    """
    source = _quoted(args.source)
    # Other groups or classes would give other results.
    flags = {name: getattr(args, name) for name in ('data_root', 'classes', 'encoder')}
    flags['groups'] = args.groups if args.groups != 'auto' else None
    options = ''.join(
        f' --{name.replace("_", "-")} {_quoted(value)}'
        for name, value in flags.items()
        if value
    )
    start = f'mmfer scan {source} --out {_quoted(args.out)}{options}'
    steps = [
        f'1. Open {osp.join(args.out, PAGE)} in a browser. Decide about the most '
        'suspicious images, and download the table of what you looked at.',
        '2. Apply your decisions:\n'
        f'   {start} --decisions TABLE.csv --apply\n'
        '   (--copy NEW_FOLDER copies what is kept into one folder per class)',
        '3. Without looking, the same command with --apply and without --decisions '
        'drops all flagged labels, also those that are right.'
        if decides
        else '3. No label is flagged, so nothing can be applied without --decisions.',
    ]
    return '\n'.join(steps)


def _quoted(text: str) -> str:
    """Return an argument of a command line."""
    plain = all(sign.isalnum() or sign in '-_./\\:~' for sign in text)
    return text if plain else f'"{text}"'


def run_record(
    args: argparse.Namespace, findings: Findings, table: ScoreTable, seconds: float
) -> Dict[str, Any]:
    """Return settings and counts of a scan, for its file."""
    scores, strength = findings.scores, findings.scores.strength
    decision = table['decision']
    return dict(
        source=source_key(args.source),
        finished=True,
        table=file_hash(osp.join(args.out, FILE_NAME)),
        kind=findings.source.kind,
        mmfer=__version__,
        settings=dict(
            data_root=args.data_root,
            groups=args.groups,
            encoder=findings.encoder,
            checkpoint=args.checkpoint,
            head=args.head,
            careful=args.careful,
            relabel=args.relabel,
            keep_share=args.keep_share,
        ),
        classes=findings.classes,
        counts=dict(
            images=len(findings.labels),
            unreadable=len(findings.errors),
            suspicious=int(findings.suspicious.sum()),
            exact_copies=int(findings.duplicates.is_exact_copy.sum()),
            copies=int(findings.duplicates.is_copy.sum()),
            groups_with_different_labels=len(
                findings.duplicates.conflicts(findings.labels)
            ),
            no_face=int(findings.faceless.sum()),
            **{name: int((decision == name).sum()) for name in np.unique(decision)},
        ),
        noise_rate=scores.noise_rate if findings.decides else None,
        accuracy=strength.accuracy,
        majority=strength.majority,
        warnings=warnings_of(findings),
        seconds=round(seconds, 1),
    )


# -- after the decisions -----------------------------------------------------
def apply_decisions(args: argparse.Namespace, source: Source, table: ScoreTable) -> str:
    """Write the cleaned list and the cleaned folder; return what was written.

    Args:
        args (argparse.Namespace): With ``out``, ``apply``, ``copy`` and ``link``.
        source (Source): The images.
        table (dict[str, np.ndarray]): Their score table.
    """
    dataset, texts = source.dataset, []
    counts = count_decisions(table)
    if args.apply:
        own = not isinstance(dataset, (ImageFolders, ImageList, ListedImages))
        path, settings = write_cleaned_list(args.out, dataset, table, own)
        texts.append(
            f'Cleaned list: {path} ({counts}). '
            + _train_text(args, source, path, settings)
        )
    if args.copy:
        paths, classes = cleaned_paths(dataset, table)
        renamed = copy_images(
            args.copy, paths, classes, args.link, Progress(f'{args.copy}: copies')
        )
        texts.append(
            f'Cleaned folder: {args.copy} ({counts}).'
            + (f' {renamed} got a number, as their name was taken.' if renamed else '')
        )
    return '\n'.join([*texts, *open_conflicts(table)])


def _train_text(
    args: argparse.Namespace, source: Source, path: str, settings: dict
) -> str:
    """Return how to train on a list."""
    if settings.get('type') == 'ImageList':
        return (
            f'Train on it: mmfer train {BASE_CONFIG} --data {_quoted(path)} '
            '--val-data TEST (TEST: images whose labels you trust; without it, images '
            'of the list are held out)'
        )
    place = 'train_dataloader.dataset'
    options = ' '.join(f'{place}.{k}={v}' for k, v in settings.items() if k != 'type')
    config = args.source
    if source.kind != 'config':
        config = f'alum_r18_{source.dataset.name.lower()}'
    return f'Train on it: mmfer train {config} --cfg-options {options}'
