"""Cache on disk for what can be computed again: location, budget, entries.

The cache is a folder that all runs of a user share:

| variable | meaning |
|---|---|
| `MMFER_CACHE_DIR` | its path; default `$XDG_CACHE_HOME/mmfer` or `~/.cache/mmfer` |
| `MMFER_CACHE_GB` | its budget in GiB; default 20; 0 switches it off |

- An entry is a folder `<kind>/<key>`. The key is a hash of all that determines the
  contents.
- An entry is whole or absent: it is built in `<key>.partial`, which is renamed at
  the end. One process builds an entry while others wait. If a build was killed, the
  next process that needs the entry continues it.
- If the budget or the disk is full, the entries that were not used for the longest
  time are evicted. An entry that a process uses is never evicted.
- Folders and files can be read by their owner only.
- `mmfer cache` lists the entries and clears them.

| module | contents |
|---|---|
| `settings` | folder and budget |
| `files` | private files, and errors of the disk |
| `locks` | file locks, and leases of entries in use |
| `entries` | find, build, evict, list and clear entries |
"""

from .entries import Cache, Entry, Partial
from .errors import CacheUnavailableError
from .files import cache_errors, open_private
from .locks import Lease
from .settings import GIB, cache_budget, cache_folder, format_size

__all__ = [
    'GIB',
    'Cache',
    'CacheUnavailableError',
    'Entry',
    'Lease',
    'Partial',
    'cache_budget',
    'cache_errors',
    'cache_folder',
    'format_size',
    'open_private',
]
