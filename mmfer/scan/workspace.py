"""The folder of a scan: whether it may be used, and what it is for."""

import hashlib
import json
import os
import os.path as osp
import tempfile
from typing import Any, Dict

from mmfer.score_table import FILE_NAME
from mmfer.utils.files import write_atomic
from mmfer.utils.json_files import read_json

from .cleaned import is_inside

RUN_FILE = 'scan.json'
REPORT = 'report.txt'
PAGE = 'review.html'


def claim_folder(out: str, source: str) -> None:
    """Prepare the folder for the results, before the work begins.

    Results of an earlier scan of the same source are replaced.

    Args:
        out (str): The folder.
        source (str): Folder, list or config that is scanned.

    Raises:
        OSError: It cannot be written.
        ValueError: It lies inside of the images, or has other files.
    """
    if osp.isdir(source) and is_inside(out, source):
        raise ValueError(
            f'--out {out}: this folder lies inside of {source}, where it would be '
            'taken for a class. Name one beside it.'
        )
    if osp.exists(out) and not osp.isdir(out):
        raise ValueError(f'--out {out}: this is a file. Name a folder.')
    run_file = osp.join(out, RUN_FILE)
    if osp.isfile(run_file):
        record = read_json(run_file, dict, 'file of a scan')
        earlier = record.get('source')
        # A scan that was refused or killed has left nothing to lose.
        empty = record.get('finished') is False and os.listdir(out) == [RUN_FILE]
        if empty:
            os.remove(run_file)
        elif earlier != source_key(source):
            raise ValueError(
                f'--out {out}: this folder has the scan of {earlier}. Name another one.'
            )
    elif osp.isdir(out) and os.listdir(out):
        raise ValueError(
            f'--out {out}: this folder is not empty, and no scan wrote it. Name a new '
            'one.'
        )
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise PermissionError(
            f'--out {out}: this folder cannot be written ({error.strerror}). Name '
            'another one.'
        ) from None
    # A scan that was killed leaves this file, so that it may start again here.
    if not osp.isfile(run_file):
        write_run_file(out, dict(source=source_key(source), finished=False))


def set_edited_aside(out: str) -> str:
    """Keep the score table of an earlier scan under another name if it was edited.

    Args:
        out (str): Folder of the scan.

    Returns:
        str: What was done, for the user; empty if nothing was.
    """
    path = osp.join(out, FILE_NAME)
    written = read_json(osp.join(out, RUN_FILE), dict, 'file of a scan').get('table')
    # Earlier versions did not note what they wrote.
    if written is None or not osp.isfile(path) or file_hash(path) == written:
        return ''
    number = 1
    while osp.exists(kept := osp.join(out, f'edited-{number}_{FILE_NAME}')):
        number += 1
    os.replace(path, kept)
    return (
        f'Your edited {FILE_NAME} is kept as {kept}. To use it: --decisions with it, '
        'and --apply or --copy.'
    )


def file_hash(path: str) -> str:
    """Return the SHA-256 of a file."""
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def source_key(source: str) -> str:
    """Return what tells two sources apart: a path, or the name of a config."""
    return osp.realpath(source) if osp.exists(source) else source


def write_run_file(out: str, record: Dict[str, Any]) -> None:
    """Write settings and counts of a scan."""
    text = json.dumps(record, indent=1, ensure_ascii=False) + '\n'
    path = osp.join(out, RUN_FILE)
    write_atomic(path, text.encode('utf-8', 'surrogateescape'))
