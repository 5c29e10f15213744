"""Predict expressions: ``mmfer predict IMAGE`` and ``tools/demo.py``."""

import argparse
import csv
import io
import os.path as osp
from typing import Any, Iterable, List, Optional, Sequence, Tuple

from mmfer.apis import FERInferencer
from mmfer.apis.drawing import describe_result
from mmfer.apis.images import each_source
from mmfer.utils.csv_cells import guard_cell
from mmfer.utils.devices import choose_device
from mmfer.utils.files import write_atomic
from mmfer.utils.text_files import clipped, read_text

from .common import run_tool

LISTS = ('.txt', '.csv')
# Columns of the table --out, from the results of FERInferencer.
COLUMNS = (
    'image',
    'face',
    'pred_class',
    'pred_label',
    'pred_score',
    'uncertainty',
    'valence',
    'arousal',
    'rejected',
    'error',
)


def run(args: argparse.Namespace) -> None:
    """Predict expressions, and show user errors without a traceback."""
    run_tool(lambda: predict(args))


def predict(args: argparse.Namespace) -> None:
    """Print the expressions of faces, and write a table and pictures.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.predict`.

    Raises:
        OSError: There is no such image, folder or list.
        ValueError: The device, the model, the list or the only image cannot be used.
    """
    args.device = choose_device(args.device)
    sources = find_sources(args.image)
    found = print_results(sources, args, args.show_dir)
    if args.out is not None:
        write_atomic(args.out, format_table(found).encode())
        print(f'{args.out} is written.')


def find_sources(path: str) -> List[str]:
    """Return the paths of the images that a path stands for.

    Args:
        path (str): Image; folder of images; or list, a file that ends in ``.txt`` or
            ``.csv``. The first field of each row of a list is the path of an image,
            relative to the folder of the list.

    Raises:
        OSError: There is no such folder or list, or the folder has no image.
        ValueError: The list has no image, or none of its images exists.
    """
    if osp.splitext(path)[1].lower() not in LISTS or osp.isdir(path):
        return list(each_source(path))
    lines = [line.text for line in read_text(path, 'list of images').filled]
    lines = [line for line in lines if not line.startswith('#')]
    if osp.splitext(path)[1].lower() == '.csv':
        lines = first_column(lines)
    if not lines:
        raise ValueError(
            f'{path}: this list has no image. Write the path of one image per line.'
        )
    sources = [osp.join(osp.dirname(path), line) for line in lines]
    if not any(map(osp.exists, sources)):
        raise ValueError(
            f'{path}: this is read as a list of images, one path per line, relative to '
            f'its folder. None of its {len(sources)} images exists; the first would be '
            f'{clipped(sources[0])!r}. Correct the list, or name an image or a folder.'
        )
    return sources


def first_column(lines: Sequence[str]) -> List[str]:
    """Return the first field of each row of a table, without its header.

    Args:
        lines (sequence[str]): Rows, with fields between commas, semicolons or tabs.
    """
    if not lines:
        return []
    separator = next((sign for sign in '\t;,' if sign in lines[0]), ',')
    names = [row[0].strip() for row in csv.reader(lines, delimiter=separator) if row]
    return names[1:] if osp.splitext(names[0])[1] == '' else names


def print_results(
    sources: Sequence[str], args: argparse.Namespace, show_dir: Optional[str]
) -> List[Tuple[str, int, dict]]:
    """Predict images and print a line for each face.

    Args:
        sources (sequence[str]): Paths of the images. If there are several, the line of
            one that cannot be read tells why.
        args (argparse.Namespace): See
            :func:`mmfer_command.arguments.common.add_model_arguments`; and ``device``.
        show_dir (str, optional): Folder for pictures with the results.

    Returns:
        list[tuple[str, int, dict]]: Path of the image, number of the face in the image
        from 0, and result; see :class:`FERInferencer`.
    """
    fer = FERInferencer(args.model, args.checkpoint or True, args.device)
    threshold = (
        None
        if args.target_error is None
        else fer.rejection_threshold(args.target_error / 100)
    )
    results = fer(
        sources,
        reject_above=threshold,
        detect_faces=args.detect_faces,
        show_dir=show_dir,
        on_error='raise' if len(sources) == 1 else 'report',
    )
    rows = [
        (source, number, face)
        for source, faces in zip(sources, results)
        for number, face in enumerate(faces if isinstance(faces, list) else [faces])
    ]
    for source, _, face in rows:
        print(f'{source}: ' + (face.get('error') or ', '.join(describe_result(face))))
    return rows


def format_table(rows: Iterable[Tuple[str, int, dict]]) -> str:
    """Return results as a CSV table with the columns :data:`COLUMNS`.

    Args:
        rows (iterable[tuple[str, int, dict]]): See :func:`print_results`.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(COLUMNS)
    for source, number, face in rows:
        values = dict(face, image=source, face=number)
        table.writerow([as_text(values.get(name)) for name in COLUMNS])
    return text.getvalue()


def as_text(value: Any) -> str:
    """Return a value of a result as a cell that no spreadsheet computes."""
    if value is None:
        return ''
    return f'{value:.6g}' if isinstance(value, float) else guard_cell(str(value))
