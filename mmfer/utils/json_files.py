"""Reading of JSON files, among them the results in a work dir."""

import json
import os
from typing import Any, Dict, List

from .text_files import PathLike, clipped

MAX_BYTES = 256_000_000
"""Size of the largest file that is read. A history of 1000 epochs has 1 MB."""

_COPY = 'Was it copied completely?'


def read_json(path: PathLike, form: type = object, kind: str = 'file') -> Any:
    """Read a JSON file.

    Args:
        path (str or os.PathLike): The file.
        form (type): ``dict`` or ``list``, if the content must be one. Defaults to
            any content.
        kind (str): Kind of the file, for messages. Defaults to ``'file'``.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no JSON, too large or nested too deeply, or has a content
            of another form. The message names the file.
    """
    name = os.fspath(path)
    if os.path.getsize(name) > MAX_BYTES:
        raise ValueError(
            f'{name} has more than {MAX_BYTES // 10**6} MB, so it is no {kind}.'
        )
    with open(name, 'rb') as file:
        data = file.read()
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError(f'{name} is nested too deeply for a {kind}.') from None
    except ValueError as error:
        # UnicodeDecodeError is a ValueError, too.
        raise ValueError(
            f'{name} is not a {kind} in JSON ({clipped(str(error))}). {_COPY}'
        ) from None
    if not isinstance(value, form):
        raise ValueError(
            f'{name} is no {kind}: it holds a {type(value).__name__} instead of a '
            f'{form.__name__}.'
        )
    return value


def read_history(path: PathLike) -> List[Dict[str, Any]]:
    """Read ``history.json`` of a run.

    Args:
        path (str or os.PathLike): The file.

    Returns:
        list[dict]: An entry for each epoch. Its ``epoch`` is a whole number, and
        its ``metrics``, ``training`` and ``losses``, if it has them, are dicts of
        numbers.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no history. The message names file and entry.
    """
    kind = 'history.json of a run'
    entries = read_json(path, list, kind)
    for number, entry in enumerate(entries, start=1):
        epoch = entry.get('epoch') if isinstance(entry, dict) else None
        if type(epoch) is not int or not 0 <= epoch < 2**62:
            raise _wrong(path, kind, f'entry {number} has no number of an epoch')
        for part in ('metrics', 'training', 'losses'):
            values = entry.get(part, {})
            if not isinstance(values, dict) or not all(
                map(_is_number, values.values())
            ):
                raise _wrong(path, kind, f'{part} of epoch {epoch} are no numbers')
        if not isinstance(entry.get('figures') or {}, dict):
            raise _wrong(path, kind, f'figures of epoch {epoch} have no names')
    return entries


def read_summary(path: PathLike) -> Dict[str, Any]:
    """Read ``summary.json`` of a run.

    Args:
        path (str or os.PathLike): The file.

    Returns:
        dict: Its ``metrics`` are dicts of numbers, or None, by statistic.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no summary. The message names the file.
    """
    kind = 'summary.json of a run'
    summary = read_json(path, dict, kind)
    metrics = summary.get('metrics')
    if not isinstance(metrics, dict):
        raise _wrong(path, kind, 'it has no metrics')
    for name, values in metrics.items():
        if not isinstance(values, dict) or not all(
            value is None or _is_number(value) for value in values.values()
        ):
            raise _wrong(path, kind, f'the metric {clipped(name)!r} has no numbers')
    for name in ('noise_auroc', 'probability_auroc'):
        auroc = summary.get(name)
        if auroc is not None and not _is_number(auroc):
            raise _wrong(path, kind, f'{name} is {clipped(repr(auroc))}, no number')
    return summary


def _is_number(value: Any) -> bool:
    """Return whether a value of JSON is a number that fits into a float."""
    if type(value) is float:
        return True
    return type(value) is int and abs(value) < 2**62


def _wrong(path: PathLike, kind: str, reason: str) -> ValueError:
    """Make the error for a file of another content."""
    return ValueError(f'{os.fspath(path)} is no {kind}: {reason}. {_COPY}')
