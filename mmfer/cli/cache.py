"""List and clear the cache: ``mmfer cache`` and ``tools/cache.py``."""

import argparse
from datetime import datetime
from typing import List

from mmfer.utils.cache import Cache, Entry, format_size

from .common import run_tool


def run(args: argparse.Namespace) -> None:
    """List or clear the cache, and show user errors without a traceback."""
    run_tool(lambda: list_or_clear(args))


def list_or_clear(args: argparse.Namespace) -> None:
    """List the entries of the cache, or remove some.

    Args:
        args (argparse.Namespace): See :mod:`mmfer_command.arguments.cache`.
    """
    cache = Cache()
    if args.clear is None:
        show(cache)
    else:
        clear(cache, args.clear)


def show(cache: Cache) -> None:
    """Print the entries, the last used one first, and their total size."""
    print(f'Cache: {cache.folder}')
    entries = cache.entries()
    for line in table(entries):
        print(line)
    total = format_size(sum(entry.size for entry in entries))
    budget = format_size(cache.budget) if cache.budget else '0, so it is switched off'
    print(f'{count(entries)}, {total}; budget {budget}')


def count(entries: List[Entry]) -> str:
    """Return the number of entries as text."""
    return '1 entry' if len(entries) == 1 else f'{len(entries)} entries'


def table(entries: List[Entry]) -> List[str]:
    """Return one line per entry and a line of headings, in columns."""
    if not entries:
        return []
    rows = [('size', 'last use', 'kind', 'key', 'name', 'holds')]
    for entry in entries:
        last_use = f'{datetime.fromtimestamp(entry.last_use):%Y-%m-%d %H:%M}'
        holds = entry.holds + (', in use' if entry.in_use else '')
        size = format_size(entry.size)
        rows.append((size, last_use, entry.kind, entry.key[:8], entry.name, holds))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        '  '.join(text.ljust(width) for text, width in zip(row, widths)).rstrip()
        for row in rows
    ]


def clear(cache: Cache, names: List[str]) -> None:
    """Remove entries, and say which ones are kept.

    Raises:
        ValueError: A name is that of no entry.
    """
    entries = cache.entries()
    for name in names:
        if not any(entry.is_called(name) for entry in entries):
            raise ValueError(
                f'{cache.folder} has no entry {name!r}. Run `mmfer cache` to '
                'list the names, kinds and keys of its entries.'
            )
    removed, kept = cache.clear(names or None)
    total = format_size(sum(entry.size for entry in removed))
    print(f'Removed {count(removed)}, {total}, from {cache.folder}')
    for entry in kept:
        print(
            f'Kept {entry.name} ({entry.key[:8]}): a process uses it. Clear it when '
            'this process has ended.'
        )
