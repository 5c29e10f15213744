"""Entries of the cache: find, build, evict, list and clear them."""

import math
import os
import os.path as osp
import re
import shutil
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .errors import CacheUnavailableError
from .files import (
    cache_errors,
    delete_folder,
    folder_size,
    open_private,
    private_folder,
    read_json,
    remove_file,
    write_json,
)
from .locks import USE_LOCK, Lease, exclusive, release, require_locks, take_lock
from .settings import GIB, cache_budget, cache_folder, format_size

# Version of the layout of folders and headers.
LAYOUT = 1
# Whole entries have a header. Unfinished ones have a reservation: their name and
# the bytes that they will take.
HEADER = 'header.json'
RESERVATION = 'reservation.json'
# Share and bytes of the disk that stay free; the smaller one counts.
FREE_SHARE = 0.05
FREE_BYTES = GIB
_PARTIAL = '.partial'
_LOCK = '.lock'
_FOLDER = re.compile(r'([0-9a-f]{64})(\.partial|\.trash-[0-9a-f]{8})?')
# Number of letters from which the beginning of a key names an entry.
_MIN_KEY = 6

IsValid = Callable[[str, dict], bool]
Build = Callable[['Partial'], Dict[str, Any]]


@dataclass(frozen=True)
class Entry:
    """Description of one entry of the cache.

    Args:
        folder (str): Its folder.
        kind (str): What it is for, such as ``images``.
        key (str): Hash of what determines the contents, 64 hex digits.
        name (str): Name for people, such as that of the data set.
        holds (str): What it holds, for people.
        size (int): Bytes on disk.
        reserved (int): Bytes that it takes when it is finished.
        last_use (float): Time of the last use, in seconds since 1970.
        finished (bool): False while it is built, or after the build was killed.
        lock (str): File that its users or its builder have locked.
        in_use (bool): Whether a process uses it or builds it.
    """

    folder: str
    kind: str
    key: str
    name: str
    holds: str
    size: int
    reserved: int
    last_use: float
    finished: bool
    lock: str
    in_use: bool

    def is_called(self, name: str) -> bool:
        """Return whether ``name`` is its name, its kind or a beginning of its key."""
        return name in (self.name, self.kind) or (
            len(name) >= _MIN_KEY and self.key.startswith(name)
        )


class Partial:
    """Unfinished entry, for the function that builds it.

    Args:
        cache (Cache): Owner.
        folder (str): Folder that becomes the entry. After a killed build it
            contains the files of that build.
        name (str): Name of the entry for people.
    """

    def __init__(self, cache: 'Cache', folder: str, name: str):
        self.cache = cache
        self.folder = folder
        self.name = name

    def reserve(self, size: int) -> None:
        """Make room for an entry of ``size`` bytes, including what is written.

        Call it before the build, and again from time to time: the expected
        size may have changed, and others fill the disk, too.

        Raises:
            CacheUnavailableError: There is no room within the budget or on the
                disk, and nothing more can be evicted.
        """
        cache = self.cache
        with cache_errors(cache.folder), exclusive(cache.lock):
            cache.make_room(size, self.folder)
            reservation = dict(name=self.name, bytes=size)
            write_json(osp.join(self.folder, RESERVATION), reservation)


class Cache:
    """Entries in one folder, shared by processes.

    Args:
        folder (str, optional): Defaults to :func:`cache_folder`.
        budget (int, optional): Largest size in bytes. Defaults to
            :func:`cache_budget`.
    """

    def __init__(self, folder: Optional[str] = None, budget: Optional[int] = None):
        self.folder = cache_folder() if folder is None else osp.abspath(folder)
        self.budget = cache_budget() if budget is None else budget
        self.lock = osp.join(self.folder, 'lock')

    # -- use ---------------------------------------------------------------
    def obtain(
        self, kind: str, key: str, name: str, is_valid: IsValid, build: Build
    ) -> Lease:
        """Return a lease of an entry, and build the entry if there is none.

        Args:
            kind (str): Kind of the entry, lower-case letters.
            key (str): Hash of what determines the contents, 64 hex digits.
            name (str): Name for people.
            is_valid (Callable): Gets the folder and the header of an entry, and
                returns whether its files are whole. An invalid entry is
                replaced.
            build (Callable): Gets a :class:`Partial`, writes files into its
                folder and returns the header, a dict for JSON. ``holds`` in it
                says what the entry holds. If it raises an ``Exception``, the
                folder is removed. After an interrupt the folder is kept, so
                that the next call can continue.

        Raises:
            CacheUnavailableError: The cache cannot be used.
        """
        require_locks()
        parent = osp.join(self.folder, kind)
        lock = osp.join(parent, key + _LOCK)
        # Nothing is written for an entry that exists, so a read-only cache works.
        lease = self._find(kind, key, is_valid)
        if lease is not None:
            return lease
        with cache_errors(self.folder):
            self._prepare(parent)
            message = f'{name}: waiting for another process that builds {parent}/{key}'
            handle = take_lock(lock, message=message)
        assert handle is not None
        try:
            # Another process may have built it in the meantime.
            lease = self._find(kind, key, is_valid)
            if lease is None:
                lease = self._build(
                    osp.join(parent, key), dict(key=key, name=name), is_valid, build
                )
            return lease
        finally:
            if not osp.exists(osp.join(parent, key + _PARTIAL)):
                remove_file(lock)
            release(handle)

    def _find(self, kind: str, key: str, is_valid: IsValid) -> Optional[Lease]:
        """Return a lease of a valid entry; None if there is none."""
        folder = osp.join(self.folder, kind, key)
        if not osp.isdir(folder):
            return None
        with cache_errors(self.folder):
            private_folder(self.folder)
            private_folder(osp.join(self.folder, kind))
            try:
                lease = Lease(folder)
            except FileNotFoundError:
                return None
        header = read_json(osp.join(folder, HEADER))
        ours = header.get('layout') == LAYOUT and header.get('key') == key
        if ours and is_valid(folder, header):
            return lease
        lease.close()
        return None

    def _prepare(self, parent: str) -> None:
        """Create the folders for a kind of entries."""
        os.makedirs(osp.dirname(self.folder), exist_ok=True)
        private_folder(self.folder)
        private_folder(parent)
        tag = osp.join(self.folder, 'CACHEDIR.TAG')
        if not osp.exists(tag):
            # Programs for backups skip a folder that has this file.
            with open_private(tag, 'wb') as file:
                file.write(b'Signature: 8a477f597d28d172789f06886806bc55\n')

    def _build(
        self, folder: str, header: dict, is_valid: IsValid, build: Build
    ) -> Lease:
        """Build an entry and put it into its place; the caller has locked it."""
        partial = folder + _PARTIAL
        try:
            with cache_errors(self.folder):
                # An invalid entry is of no more use. If a process has it open,
                # it stays until the new one takes its place.
                self._remove(folder, osp.join(folder, USE_LOCK))
                private_folder(partial)
                with open_private(osp.join(partial, USE_LOCK), 'ab') as file:
                    os.utime(file.fileno())
            header.update(build(Partial(self, partial, header['name'])))
            with cache_errors(self.folder):
                write_json(osp.join(partial, HEADER), dict(layout=LAYOUT, **header))
                remove_file(osp.join(partial, RESERVATION))
                if not is_valid(partial, read_json(osp.join(partial, HEADER))):
                    raise CacheUnavailableError(
                        f'{folder} was built, but cannot be read back. Check the '
                        'disk, or set MMFER_CACHE_DIR to a folder on another one'
                    )
                # With the lease taken before, nobody can remove it after.
                lease = Lease(partial)
                delete_folder(folder)
                os.rename(partial, folder)
                lease.folder = folder
            return lease
        except Exception:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    # -- room --------------------------------------------------------------
    def make_room(self, size: int, own: str) -> None:
        """Evict entries until one of ``size`` bytes has room.

        Nothing is evicted if this would not make enough room. The caller holds
        the lock of the cache.

        Args:
            size (int): Bytes of the new entry when it is finished.
            own (str): Its folder, which may contain files already.

        Raises:
            CacheUnavailableError: There is no room.
        """
        self._sweep()
        others = [entry for entry in self.entries() if entry.folder != own]
        disk = shutil.disk_usage(self.folder)
        # Running builds will take the rest of what they have reserved.
        promised = sum(e.reserved - e.size for e in others if e.in_use)
        spare = disk.free - promised - min(FREE_BYTES, int(FREE_SHARE * disk.total))
        over_disk = size - folder_size(own) - spare
        over_budget = size + promised + sum(e.size for e in others) - self.budget
        missing = max(over_disk, over_budget)
        chosen: List[Tuple[Entry, int]] = []
        try:
            for entry in reversed(others):
                if missing <= 0:
                    break
                handle = take_lock(entry.lock, wait=False)
                if handle is not None:
                    chosen.append((entry, handle))
                    missing -= entry.size
            if missing > 0:
                raise CacheUnavailableError(
                    self._describe_lack(size, missing, over_budget >= over_disk)
                )
            for entry, _ in chosen:
                _delete(entry)
        finally:
            for _, handle in chosen:
                release(handle)

    def _describe_lack(self, size: int, missing: int, budget: bool) -> str:
        """Return why an entry has no room, and what to do."""
        if budget:
            return (
                f'this takes {format_size(size)}, which is {format_size(missing)} more '
                f'than the cache {self.folder} has left. Its budget is '
                f'{format_size(self.budget)}, and what running processes use is not '
                'evicted. Set MMFER_CACHE_GB to '
                f'{math.ceil((self.budget + missing) / GIB)} or more'
            )
        return (
            f'this takes {format_size(size)}, which is {format_size(missing)} more '
            f'than the disk of {self.folder} has to spare. Free some space, or set '
            'MMFER_CACHE_DIR to a folder on another disk'
        )

    # -- list and clear ----------------------------------------------------
    def entries(self) -> List[Entry]:
        """Return all entries, also unfinished ones, the last used one first."""
        found = []
        for kind, name in self._folders():
            match = _FOLDER.fullmatch(name)
            if match and match[2] in (None, _PARTIAL):
                found.append(_describe(osp.join(self.folder, kind, name), match[1]))
        return sorted(filter(None, found), key=lambda entry: -entry.last_use)

    def clear(
        self, names: Optional[Sequence[str]] = None
    ) -> Tuple[List[Entry], List[Entry]]:
        """Remove entries that no process uses.

        Args:
            names (Sequence[str], optional): Names, kinds, or beginnings of keys
                of at least 6 digits. Defaults to all entries.

        Returns:
            tuple[list[Entry], list[Entry]]: The entries that were removed, and
            those that are in use and were kept.
        """
        removed: List[Entry] = []
        kept: List[Entry] = []
        if not osp.isdir(self.folder):
            return removed, kept
        with exclusive(self.lock):
            self._sweep()
            for entry in self.entries():
                if names is None or any(map(entry.is_called, names)):
                    gone = self._remove(entry.folder, entry.lock)
                    (removed if gone else kept).append(entry)
        return removed, kept

    def _remove(self, folder: str, lock: str) -> bool:
        """Delete an entry that nobody has locked; return whether it is gone."""
        try:
            handle = take_lock(lock, wait=False)
        except FileNotFoundError:
            # A folder without this file is no entry.
            delete_folder(folder)
            return True
        if handle is None:
            return False
        delete_folder(folder)
        remove_file(lock)
        release(handle)
        return True

    def _folders(self) -> List[Tuple[str, str]]:
        """Return kind and name of all folders that may be entries."""
        if not osp.isdir(self.folder):
            return []
        return [
            (kind, name)
            for kind in os.listdir(self.folder)
            if osp.isdir(osp.join(self.folder, kind))
            for name in os.listdir(osp.join(self.folder, kind))
        ]

    def _sweep(self) -> None:
        """Delete what is left of removals that were killed."""
        for kind, name in self._folders():
            match = _FOLDER.fullmatch(name)
            if match and match[2] not in (None, _PARTIAL):
                shutil.rmtree(osp.join(self.folder, kind, name), ignore_errors=True)


def _describe(folder: str, key: str) -> Optional[Entry]:
    """Describe an entry; return None if it is gone or was not made here."""
    finished = not folder.endswith(_PARTIAL)
    try:
        size = folder_size(folder)
        last_use = os.stat(osp.join(folder, USE_LOCK)).st_mtime
    except FileNotFoundError:
        return None
    if finished:
        header = read_json(osp.join(folder, HEADER))
        reserved, lock = size, osp.join(folder, USE_LOCK)
    else:
        header = read_json(osp.join(folder, RESERVATION))
        promised = header.get('bytes')
        reserved = max(size, promised) if isinstance(promised, int) else size
        lock = folder[: -len(_PARTIAL)] + _LOCK
    return Entry(
        folder=folder,
        kind=osp.basename(osp.dirname(folder)),
        key=key,
        name=str(header.get('name', '')),
        holds=str(header.get('holds', '')) if finished else 'unfinished',
        size=size,
        reserved=reserved,
        last_use=last_use,
        finished=finished,
        lock=lock,
        in_use=_is_locked(lock),
    )


def _is_locked(path: str) -> bool:
    """Return whether a process has locked a file of the cache."""
    if not osp.exists(path):
        return False
    try:
        handle = take_lock(path, wait=False)
    except OSError:
        # The entry was just removed, or the folder is read-only.
        return False
    if handle is None:
        return True
    release(handle)
    return False


def _delete(entry: Entry) -> None:
    """Delete an entry whose lock the caller has."""
    delete_folder(entry.folder)
    remove_file(entry.lock)
