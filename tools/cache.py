"""List and clear the cache: decoded images that runs share.

    python tools/cache.py
    python tools/cache.py --clear
    python tools/cache.py --clear RAFDB

``MMFER_CACHE_DIR`` sets the folder of the cache and ``MMFER_CACHE_GB`` its largest
size in GiB (default 20; 0 switches the cache off). What is cleared is built again when
a run needs it. Entries that running processes use are kept.
"""

import argparse
from datetime import datetime
from typing import List

from mmfer.cli import run_tool
from mmfer.utils.cache import Cache, Entry, format_size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--clear',
        nargs='*',
        metavar='NAME',
        help='remove the entries of these names, kinds or keys (default: all)',
    )
    args = parser.parse_args()
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
                f'{cache.folder} has no entry {name!r}. Run python tools/cache.py to '
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


if __name__ == '__main__':
    run_tool(main)
