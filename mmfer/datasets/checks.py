"""Checks of a data set's options, labels and files, and their messages."""

import difflib
import inspect
import logging
import os
import os.path as osp
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Union

import numpy as np
from mmengine.logging import print_log

from mmfer.utils.progress import tracked
from mmfer.utils.text_tables import check_class_names, read_class_names

from .images import UnreadableImageError, check_image_file, looks_complete

# Number of classes that a message lists by name.
MAX_NAMED = 10


# -- options -----------------------------------------------------------------
def check_option_names(cls: type, options: Iterable[str]) -> None:
    """Raise ``TypeError`` if an option is none of a data set, as after a typo.

    Args:
        cls (type): Class of the data set.
        options (Iterable[str]): Options that no class of mmfer has taken; the
            base class of mmengine knows the rest.
    """
    known = [
        name
        for base in cls.__mro__
        if '__init__' in vars(base)
        for name, parameter in inspect.signature(
            vars(base)['__init__']
        ).parameters.items()
        if name != 'self' and parameter.kind is not parameter.VAR_KEYWORD
    ]
    for option in options:
        if option == 'cache_images':
            raise TypeError(
                f'{cls.__name__}: the option cache_images is gone. Remove it: images '
                'are decoded once for all runs, unless image_store=False.'
            )
        if option not in known:
            near = difflib.get_close_matches(option, known, 1)
            way_out = (
                f'Did you mean {near[0]}?'
                if near
                else f'The options are {", ".join(sorted(set(known)))}.'
            )
            raise TypeError(f'{cls.__name__} has no option {option!r}. {way_out}')


def merge_classes(
    metainfo: Optional[dict], classes: Union[str, Sequence[str], None], owner: str
) -> dict:
    """Merge ``classes`` into ``metainfo``; both may name a file.

    mmpretrain's own reader keeps a byte order mark in the first name, and
    reads blank lines as classes.

    Args:
        metainfo (dict, optional): Its ``classes`` are used instead of
            ``classes``.
        classes (str | Sequence[str], optional): Names, or a file with one
            name per line.
        owner (str): Name of the data set, for messages.
    """
    metainfo = dict(metainfo or {})
    classes = metainfo.get('classes', classes)
    if classes is None:
        return metainfo
    if isinstance(classes, (str, os.PathLike)):
        names = read_class_names(classes)
    elif isinstance(classes, (list, tuple)):
        try:
            names = check_class_names(classes)
        except ValueError as error:
            raise ValueError(f'{owner}: {error}') from None
    else:
        raise ValueError(
            f'{owner}: classes={classes!r} is neither a list of names nor a '
            'file with one name per line.'
        )
    return {**metainfo, 'classes': tuple(names)}


def check_split(split: str, splits: Sequence[str], owner: str) -> None:
    """Raise ``ValueError`` for a split that the data set does not have.

    Args:
        split (str): The split asked for, '' for none.
        splits (Sequence[str]): Names of all splits; empty if there are none.
        owner (str): Name of the data set, for the message.
    """
    if splits and split not in splits:
        raise ValueError(f'{owner} has no split {split!r}, only {", ".join(splits)}.')
    if split and not splits:
        raise ValueError(
            f'{owner}: split={split!r}, but this data set has no splits. '
            'Remove split; test_mode=True makes a set one for evaluation.'
        )


def evaluation_error(owner: str, option: str, value: Any, reason: str) -> ValueError:
    """Make the error for a training option of an evaluation set.

    Args:
        owner (str): Name of the data set.
        option (str): Name of the option.
        value: Value of the option.
        reason (str): A sentence on why an evaluation does not take it.
    """
    return ValueError(
        f'{owner}: {option}={value!r} for an evaluation. {reason} Remove '
        f'{option} here; it belongs to the training set.'
    )


# -- labels ------------------------------------------------------------------
def check_label_range(labels: np.ndarray, num_classes: int, owner: str) -> None:
    """Raise ``ValueError`` for labels outside [0, ``num_classes``).

    Args:
        labels (np.ndarray): int (N,).
        num_classes (int): Number of classes.
        owner (str): Name of the data set, for the message.
    """
    wrong = (labels < 0) | (labels >= num_classes)
    if wrong.any():
        raise ValueError(
            f'{owner}: {int(wrong.sum())} label(s) outside '
            f'[0, {num_classes}), e.g. {labels[wrong][0]} in row '
            f'{int(np.flatnonzero(wrong)[0])}. Labels here are 0-based. Does '
            'the list count from 1, or does it have more classes?'
        )


def empty_classes(
    labels: np.ndarray, num_classes: int, before: Optional[np.ndarray] = None
) -> np.ndarray:
    """Return the classes without a sample, int64, ascending.

    Args:
        labels (np.ndarray): int64 (N,), in [0, ``num_classes``).
        num_classes (int): Number of classes.
        before (np.ndarray, optional): Labels of a larger set. Only classes
            that have a sample in it are returned.
    """
    empty = np.bincount(labels, minlength=num_classes) == 0
    if before is not None:
        empty &= np.bincount(before, minlength=num_classes) > 0
    return np.flatnonzero(empty)


def warn_of_empty_classes(
    labels: np.ndarray,
    classes: Sequence[str],
    owner: str,
    before: Optional[np.ndarray] = None,
    cause: str = '',
) -> None:
    """Log a warning that names the classes without a sample.

    Args:
        labels (np.ndarray): int64 (N,), in [0, K).
        classes (Sequence[str]): Names of the K classes.
        owner (str): Name of the data set, for the message.
        before (np.ndarray, optional): Labels before samples were dropped.
            Only classes that had a sample then are named.
        cause (str): What dropped the samples, for the message.
    """
    empty = empty_classes(labels, len(classes), before)
    if not empty.size:
        return
    names = ', '.join(classes[i] for i in empty[:MAX_NAMED])
    if empty.size > MAX_NAMED:
        names += f' and {empty.size - MAX_NAMED} more'
    left, check = '', 'the data set is complete'
    if before is not None:
        left = f' of {len(before)} are left by {cause}'
        check = f'{cause} may drop these classes'
    print_log(
        f'{owner}: {len(labels)} samples{left}, but no sample of {names}. The '
        'data set is used as it is, but a model cannot be trained or tested on '
        f'these classes. Check that {check}.',
        'current',
        level=logging.WARNING,
    )


# -- files -------------------------------------------------------------------
def tried(paths: Sequence[str], found: Optional[object]) -> str:
    """Return paths of one thing for a message, and whether it was found.

    Args:
        paths (Sequence[str]): Paths at which it may lie.
        found (object, optional): What was found at one of them; None if nothing was.
    """
    return f'{" or ".join(paths)} ({"missing" if found is None else "found"})'


def missing_root(owner: str, looked_for: Sequence[str], page: str) -> FileNotFoundError:
    """Make the error for a data root that does not exist.

    Args:
        owner (str): Name of the data set.
        looked_for (Sequence[str]): Paths that were tried.
        page (str): Name of the page that offers the data.
    """
    tried = '\n  '.join(looked_for)
    return FileNotFoundError(
        f'{owner}: data not found. Looked for\n  {tried}\n'
        f'Get it from {page} and unpack it there, or set its path '
        'with --cfg-options train_dataloader.dataset.data_root=DIR '
        'val_dataloader.dataset.data_root=DIR (and test_dataloader for '
        'tests). To try mmfer without any data, run a *_synthfaces* '
        'config: it trains the same methods on drawn faces.'
    )


def check_files(samples: Sequence[dict], owner: str) -> None:
    """Raise ``FileNotFoundError`` unless the image of every sample exists.

    Args:
        samples (Sequence[dict]): Dicts with ``img_path``.
        owner (str): Name of the data set, for the message.
    """
    # Each folder is listed once: 10^5 stat calls on a network disk are slow.
    folders: Dict[str, Set[str]] = {}
    missing = []
    for sample in samples:
        folder, name = osp.split(sample['img_path'])
        if folder not in folders:
            listed = folder or os.curdir
            folders[folder] = set(os.listdir(listed)) if osp.isdir(listed) else set()
        if name not in folders[folder]:
            missing.append(sample['img_path'])
    if missing:
        raise FileNotFoundError(
            f'{owner}: {len(missing)} of {len(samples)} listed images do not '
            f'exist, first {missing[0]!r}. Complete the images, or remove '
            'these rows from the list.'
        )


def check_names(samples: Sequence[dict], owner: str) -> None:
    """Raise ``ValueError`` if the name of an image cannot be written to a table.

    Old archives contain names of another encoding. Python reads them, but a run could
    not write its ``sample_scores.csv`` at the end.

    Args:
        samples (Sequence[dict]): Dicts with ``img_path``.
        owner (str): Name of the data set, for the message.
    """
    bad = [s['img_path'] for s in samples if not _is_text(s['img_path'])]
    if bad:
        folder, name = osp.split(bad[0])
        raise ValueError(
            f'{owner}: the names of {len(bad)} of {len(samples)} images are not valid '
            f'UTF-8, first {os.fsencode(name)!r} in {_shown(folder)}. Tables cannot '
            'hold them. Rename the files, for example with `convmv -f latin1 -t utf8 '
            '-r --notest FOLDER`.'
        )


def _is_text(name: str) -> bool:
    """Return whether a name has characters only, and no bytes of another encoding."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(folder: str) -> str:
    """Return a folder in a form that can be printed."""
    return repr(folder if _is_text(folder) else os.fsencode(folder))


def find_unreadable(samples: Sequence[dict], owner: str) -> Dict[int, str]:
    """Decode every image once, with a progress bar.

    Args:
        samples (Sequence[dict]): Dicts with ``img_path`` and ``sample_id``.
        owner (str): Name of the data set, for the log.

    Returns:
        dict[int, str]: What is wrong with each unreadable image, by
        ``sample_id``.
    """
    print_log(f'Checking {len(samples)} images of {owner} ...', 'current')
    found = {}
    for sample in tracked(samples, 'checking'):
        try:
            check_image_file(sample['img_path'])
        except UnreadableImageError as error:
            found[sample['sample_id']] = str(error)
    return found


def unreadable_error(
    error: UnreadableImageError,
    path: str,
    paths: Iterable[str],
    owner: str,
    loader: str,
) -> UnreadableImageError:
    """Make the error for an unreadable image: how many look bad, what to do.

    Only the first and last bytes of the other files are read, which takes
    about 50 us for each. Decoding them could find more, but the message would
    come late.

    Args:
        error (UnreadableImageError): What is wrong with the image.
        path (str): The image.
        paths (Iterable[str]): All images of the data set.
        owner (str): Name of the data set.
        loader (str): Name of its data loader in a config.
    """
    files = set(paths)
    bad = sum(not looks_complete(other) for other in files if other != path) + 1
    return UnreadableImageError(
        f'{error}. {owner}: {bad} of {len(files)} image files look empty or '
        'broken. Replace or remove them, or skip them with --cfg-options '
        f'{loader}.dataset.on_bad_image=skip (every file is then decoded once '
        'before the start; the skipped ones are counted and listed).'
    )


def describe_skipped(skipped: List[str], owner: str) -> str:
    """Return a paragraph that names the images that were skipped."""
    lines = '\n  '.join(skipped)
    return f'{owner}: skipped {len(skipped)} unreadable image(s):\n  {lines}'
